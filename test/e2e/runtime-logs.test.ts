import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import {
  createApp,
  deploy,
  followLog,
  graphql,
  readRuntimeLog,
  type RuntimeLogEvent,
  stageOf,
} from '../support/client.js'
import { BASE_IMAGE, TestRepository } from '../support/repository.js'
import { Installation, type ServerProcess, until } from '../support/server.js'

const SECRET = 'correct-horse-battery'

/** An app that writes numbered lines, each tenth of them to the other stream, and now and then a secret in two pieces. */
function talker(word: string): Record<string, string> {
  const script = [
    'busybox httpd -p 8080 -h /www',
    'head=${SECRET%?????????}; tail=${SECRET#"$head"}; n=0',
    `while :; do n=$((n+1)); case $n in`,
    `*0) echo "${word} $n" >&2;;`,
    // A colour stays, a title for the terminal's window does not.
    `*5) printf '\\033[31m${word}\\033[0m %s \\033]0;title\\007key=%s' $n "$head"; busybox usleep 3000; echo "$tail.";;`,
    `*) echo "${word} $n";; esac; busybox usleep 10000; done`,
  ].join('\n')
  return {
    'www/index.html': word,
    'talk.sh': script,
    Dockerfile: [
      `FROM ${BASE_IMAGE}`,
      'COPY www /www',
      'COPY talk.sh /talk.sh',
      'EXPOSE 8080',
      'CMD ["/bin/busybox", "sh", "/talk.sh"]',
      '',
    ].join('\n'),
  }
}

interface Line {
  readonly deploymentId: string
  readonly stream: string
  readonly word: string
  readonly number: number
}

function linesOf(events: readonly RuntimeLogEvent[]): Line[] {
  return events.flatMap(({ deploymentId, stream, text }) => {
    assert.ok(text.endsWith('\n'), text)
    return text
      .slice(0, -1)
      .split('\n')
      .map((line) => {
        const match = /^(?:\x1b\[31m)?([a-z]+)(?:\x1b\[0m)? (\d+)( key=\[REDACTED\]\.)?$/.exec(line) // oxlint-disable-line no-control-regex
        assert.ok(match, JSON.stringify(line))
        const number = Number(match[2])
        assert.equal(match[3] !== undefined, number % 10 === 5, line)
        assert.equal(line.includes('\x1b'), number % 10 === 5, line)
        return { deploymentId, stream, word: match[1] ?? '', number }
      })
  })
}

/**
 * Each number once; within a stream in order. Between the two streams the engine itself keeps no exact order: where one
 * stopped reading, the last line of the other may still be to come.
 */
function checkWhole(lines: readonly Line[]): void {
  const lasts = ['STDOUT', 'STDERR'].map((stream) => {
    const numbers = lines.filter((line) => line.stream === stream).map(({ number }) => number)
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
    )
    return numbers.at(-1) ?? 0
  })
  const end = Math.min(lasts[0] ?? 0, (lasts[1] ?? 0) + 9)
  for (const { number, stream } of lines) assert.equal(stream, number % 10 === 0 ? 'STDERR' : 'STDOUT')
  const all = lines
    .map(({ number }) => number)
    .filter((number) => number <= end)
    .sort((a, b) => a - b)
  assert.deepEqual(
    all,
    all.map((_, index) => (all[0] ?? 0) + index),
  )
}

const count = (events: readonly RuntimeLogEvent[]) => linesOf(events).length

describe('what a running container writes', () => {
  let installation: Installation
  let worker: ServerProcess
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ ROLES: 'api' })
    worker = await installation.start({ ROLES: 'worker' })
  })
  after(() => installation[Symbol.asyncDispose]())

  async function create(name: string, repository: TestRepository) {
    const variables = [{ key: 'SECRET', value: SECRET }]
    const created = await createApp(port, { name, repoUrl: repository.url, variables })
    const events = await followLog(port, created.deploymentId)
    assert.equal(events.at(-1)?.end?.status, 'RUNNING')
    return { ...created, stageId: await stageOf(port, created.appId) }
  }

  const deleteApp = (id: string) => graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id })

  async function viewers(): Promise<number> {
    const client = new pg.Client({ connectionString: installation.database.url })
    await client.connect()
    try {
      const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM runtime_log_viewer')
      return Number(rows[0]?.count)
    } finally {
      await client.end()
    }
  }

  test('comes with its last lines first, then live, across a redeploy, until the app is deleted', async () => {
    using repository = new TestRepository(talker('one'))
    const { appId, deploymentId, stageId } = await create('talker', repository)
    const all: RuntimeLogEvent[] = []
    const following = readRuntimeLog(port, { stageId, tail: 10_000 }, undefined, all)
    await until(() => count(all) > 60)
    const written = count(all)
    const late: RuntimeLogEvent[] = []
    const followingLate = readRuntimeLog(port, { stageId, tail: 5 }, undefined, late)
    await until(() => count(late) > 60)
    assert.equal(linesOf(all)[0]?.number, 1)
    const first = Math.min(...linesOf(late).map(({ number }) => number))
    assert.ok(first > written - 5, `the last lines began with ${first} of ${written}`)

    repository.commit(talker('two'))
    const next = await deploy(port, appId)
    await followLog(port, next)
    for (const seen of [all, late]) {
      await until(() => linesOf(seen).filter(({ word }) => word === 'two').length > 40)
      const lines = linesOf(seen)
      const [before, since] = ['one', 'two'].map((word) => lines.filter((line) => line.word === word))
      assert.deepEqual(lines, [...(before ?? []), ...(since ?? [])], 'the old ones come first')
      checkWhole(before ?? [])
      checkWhole(since ?? [])
      assert.equal(Math.min(...(since ?? []).map(({ number }) => number)), 1)
      for (const line of lines) assert.equal(line.deploymentId, line.word === 'one' ? deploymentId : next)
    }

    // They share one.
    await until(async () => (await viewers()) === 1)
    await readRuntimeLog(port, { stageId, tail: 1 }, (events) => events.length > 0)
    await until(async () => (await viewers()) === 1)
    await deleteApp(appId)
    await Promise.all([following, followingLate])
    await until(async () => (await viewers()) === 0)
  })

  test('goes on without a gap and without a double when its worker is killed and another takes over', async () => {
    using repository = new TestRepository(talker('survivor'))
    const { appId, stageId } = await create('survivor', repository)
    const seen: RuntimeLogEvent[] = []
    const following = readRuntimeLog(port, { stageId, tail: 0 }, undefined, seen)
    await until(() => count(seen) > 50)
    await worker.kill()
    worker = await installation.start({ ROLES: 'worker' })
    const before = count(seen)
    await until(() => count(seen) > before + 400)
    checkWhole(linesOf(seen))
    const milliseconds = await worker.stop()
    assert.ok(milliseconds < 15_000, `the stop took ${milliseconds} ms`)
    worker = await installation.start({ ROLES: 'worker' })
    const again = count(seen)
    await until(() => count(seen) > again + 100)
    checkWhole(linesOf(seen))
    await deleteApp(appId)
    await following
  })

  test('is waited for where nothing runs yet, and comes from its first line on', async () => {
    using repository = new TestRepository(talker('patient'))
    const input = { name: 'patient', repoUrl: repository.url, variables: [{ key: 'SECRET', value: SECRET }] }
    const query = 'mutation ($input: CreateAppInput!) { createApp(input: $input) { id stage { id } } }'
    const { createApp: app } = await graphql<{ createApp: { id: string; stage: { id: string } } }>(
      port,
      query,
      {
        input: { ...input, deploy: false },
      },
    )
    const seen: RuntimeLogEvent[] = []
    const following = readRuntimeLog(port, { stageId: app.stage.id, tail: 3 }, undefined, seen)
    await until(async () => (await viewers()) === 1)
    await deploy(port, app.id)
    await until(() => count(seen) > 30)
    checkWhole(linesOf(seen))
    assert.equal(linesOf(seen)[0]?.number, 1)
    await deleteApp(app.id)
    await following
  })

  test('is refused for a stage that is not there, and for a tail that is out of bounds', async () => {
    await assert.rejects(
      readRuntimeLog(port, { stageId: 'nope' }),
      /"NOT_FOUND","field":"stageId".*there is no stage nope/,
    )
    for (const tail of [-1, 10_001]) {
      const refused = /"BAD_USER_INPUT","field":"tail".*must be a number of lines from 0 to 10000/
      await assert.rejects(readRuntimeLog(port, { stageId: 'nope', tail }), refused)
    }
  })
})
