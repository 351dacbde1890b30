import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { printed, traces } from '../support/canaries.js'
import { ChildWatch } from '../support/children.js'
import {
  createApp,
  deploy,
  followLog,
  graphql,
  type LogEvent,
  readDeployment,
  readRuntimeLog,
  type RuntimeLogEvent,
  stageOf,
} from '../support/client.js'
import { docker } from '../support/docker.js'
import { BASE_IMAGE, freshStep, TestRepository } from '../support/repository.js'
import { Installation, TOKEN } from '../support/server.js'
import { textsInDatabase } from '../support/tables.js'
import { type Wiretap, wiretap } from '../support/wiretap.js'

const random = () => randomBytes(9).toString('base64url')

const CANARIES = [
  `sk_live_${random()}`,
  `long-${random().repeat(7)}`,
  `pa"ss\\${random()}\tend`,
  `p@ss/w&rd+${random()} %=`,
  `pässwörd💚${random()}`,
  `-----BEGIN KEY-----\n${random()}${random()}\n${random()}${random()}\n-----END KEY-----\n`,
  `postgres://user:${random()}@db.internal:5432/app`,
  `{"type":"service","key":"${random()}"}`,
  `$(id)';${random()}|&<>`,
  `x9!${random()}`,
]
/** Printed beside the canaries and no secret: a scan that does not find it scans nothing. */
const CONTROL = `control-${random()}`

/** Prints a file in pieces of 11 bytes, some of them late. */
const PIECES = `#!/bin/busybox sh
i=0
size=$(wc -c < "$1")
while [ $((i * 11)) -lt "$size" ]; do
  dd if="$1" bs=11 skip=$i count=1 2>/dev/null
  i=$((i + 1))
  [ $((i % 40)) = 0 ] && sleep 0.1
done
echo
`
/** What a container makes of its own variables. */
const LEAK = `#!/bin/busybox sh
for name in 0 1 2 3 4 5 6 7 8 9; do
  eval "value=\\$S_$name"
  printf '%s' "$value" > /value
  sh /pieces.sh /value
  base64 < /value
  (printf a; cat /value) | base64 | tr -d '\\n'; echo
  (printf ab; cat /value) | base64 | tr -d '\\n'; echo
done
`

function app(steps: string, command: string): Record<string, string> {
  const lines = [...CANARIES, CONTROL].flatMap(printed).map((line) => `${line}\n`)
  const run = (script: string) => JSON.stringify(['/bin/busybox', 'sh', '-c', script])
  return {
    'leak.txt': lines.join(''),
    'pieces.sh': PIECES,
    'leak.sh': LEAK,
    'www/index.html': 'serves',
    Dockerfile: [
      `FROM ${BASE_IMAGE}`,
      'COPY . /',
      `RUN ${run(freshStep(`sh /pieces.sh /leak.txt; sh /pieces.sh /leak.txt >&2; ${steps}`))}`,
      'EXPOSE 8080',
      `CMD ${run(`sh /leak.sh; sh /leak.sh >&2; ${command}`)}`,
      '',
    ].join('\n'),
  }
}

/** The last line of each stream: the engine gives them in any order. */
const SAID = `${CONTROL} is all`
const SERVES = `echo '${SAID}'; echo '${SAID}' >&2; exec busybox httpd -f -p 8080 -h /www`
const STREAMS = ['STDOUT', 'STDERR']

describe('ten secrets that a build and a container print, in pieces and in every encoding,', () => {
  let installation: Installation
  let tap: Wiretap
  let children: ChildWatch
  const repository = new TestRepository(app('true', SERVES))
  const logs: LogEvent[][] = []
  let container: RuntimeLogEvent[] = []
  const deployments: string[] = []

  before(async () => {
    installation = await Installation.create()
    const server = await installation.start()
    tap = await wiretap(installation.port)
    children = new ChildWatch(server.child.pid ?? 0)
    const variables = CANARIES.map((value, index) => ({ key: `S_${index}`, value }))
    // As a value it is too short to be masked, and it is printed as well.
    const input = {
      name: 'leaky',
      repoUrl: repository.url,
      variables: [...variables, { key: 'SHORT', value: 'true' }],
    }
    const created = await createApp(tap.port, input)
    const follow = async (id: string) => {
      deployments.push(id)
      logs.push(await followLog(tap.port, id))
    }
    await follow(created.deploymentId)
    repository.commit(app(`: '${CANARIES[0]}'; exit 3`, SERVES), `breaks with ${CANARIES[0]}`)
    await follow(await deploy(tap.port, created.appId))
    repository.commit(app('true', 'exit 4'))
    await follow(await deploy(tap.port, created.appId))
    await readAll(tap.port, created.appId)
    const options = { stageId: await stageOf(tap.port, created.appId), tail: 10_000 }
    container = await readRuntimeLog(tap.port, options, (events) =>
      STREAMS.every((stream) => textOf(ofStream(events, stream)).includes(SAID)),
    )
  })
  after(async () => {
    children[Symbol.dispose]()
    await tap[Symbol.asyncDispose]()
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  /** All that the API says of them, over GraphQL and REST. */
  async function readAll(port: number, appId: string): Promise<void> {
    const ALL = `query ($id: ID!, $from: ID!, $to: ID!) {
      app(id: $id) {
        id name repoUrl stages { variables { key fingerprint updatedAt } current { id } }
        deployments(first: 3) { nodes {
          id status ref commitMessage image events { from to reason }
          error { code message exitCode lastLines } logs(first: 100) { events { seq text } }
        } }
      }
      configurationDiff(from: $from, to: $to) { fields { field from to } variables { key from to } }
    }`
    await graphql(port, ALL, { id: appId, from: deployments[0], to: deployments[2] })
    const paths = [
      `apps`,
      `apps/${appId}`,
      `apps/${appId}/deployments`,
      ...deployments.map((id) => `deployments/${id}`),
    ]
    for (const path of paths) {
      const headers = { authorization: `Bearer ${TOKEN}` }
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { headers })
      assert.equal(answer.status, 200, path)
      await answer.text()
    }
  }

  /** Nor cut into lines. */
  function assertNowhere(texts: readonly string[], where: string): void {
    const joined = (text: string) => text.replaceAll('\n', '')
    const all = [...texts, ...texts.map(joined)]
    for (const [index, canary] of CANARIES.entries()) {
      for (const trace of new Set(traces(canary).flatMap((one) => [one, joined(one)]))) {
        const found = all.find((text) => text.includes(trace))
        assert.equal(found && around(found, trace), undefined, `${where} shows canary ${index} as ${trace}`)
      }
    }
  }

  test('run as they are meant to: one version serves, one build and one container fail', async () => {
    const states = await Promise.all(deployments.map((id) => readDeployment(installation.port, id)))
    assert.deepEqual(
      states.map(({ status, error }) => [status, error?.code, error?.exitCode]),
      [
        ['RUNNING', undefined, undefined],
        ['FAILED', 'BUILD_FAILED', 3],
        ['FAILED', 'EXITED', 4],
      ],
    )
    assert.equal((await installation.fetch('leaky.localhost')).body, 'serves')
    for (const { error } of states.slice(1)) {
      assert.ok((error?.lastLines.length ?? 0) > 20, 'its last lines are there')
      assert.ok(error?.lastLines.some((line) => line.includes('[REDACTED]')))
    }
  })

  test('are in no table of the database', async () => {
    const texts = await textsInDatabase(installation.database.url)
    assertNowhere(texts, 'the database')
    assert.ok(texts.some((text) => text.includes(CONTROL)))
    for (const encoded of printed(CONTROL).slice(3)) {
      assert.ok(
        texts.some((text) => text.includes(encoded)),
        'what is no secret is there as it was printed',
      )
    }
  })

  test('are in nothing that the server sent: answers, errors, events, logs', () => {
    const said = tap.said()
    assertNowhere([said], 'the wire')
    assert.ok(said.includes(CONTROL) && said.includes('lastLines') && said.includes('"seq"'))
    const text = textOf(logs.flat())
    assertNowhere([text], 'the logs')
    assert.ok(text.split('[REDACTED]').length > 10 * 2 * 6, 'each was printed and masked')
  })

  test('are in nothing that runtimeLogs gives of the container that serves', () => {
    for (const stream of STREAMS) {
      const text = textOf(ofStream(container, stream))
      assertNowhere([text], `${stream} of the container`)
      assert.ok(text.split('[REDACTED]').length > 10 * 4, `${stream}: each was printed and masked`)
    }
    assert.ok(container.every(({ deploymentId }) => deploymentId === deployments[0]))
  })

  test('are in no layer of the image and no command line, and the process’s own log has none', () => {
    const image = `mvp-leaky:${deployments[0]}`
    assertNowhere([docker('history', '--no-trunc', image), docker('inspect', image)], 'the image')
    assert.match(docker('history', '--no-trunc', image), /pieces\.sh/)
    const lines = children.commandLines()
    assertNowhere(lines, 'a command line')
    assert.ok(
      lines.some((line) => line.includes('git') && line.includes('fetch')),
      'children were seen',
    )
    assertNowhere(
      installation.processes.map(({ output }) => output),
      'the output of the server',
    )
  })
})

function ofStream(events: readonly RuntimeLogEvent[], stream: string): RuntimeLogEvent[] {
  return events.filter((event) => event.stream === stream)
}

function textOf(events: readonly { readonly text: string }[]): string {
  return events.map((event) => event.text).join('')
}

function around(text: string, found: string): string {
  const at = text.indexOf(found)
  return text.slice(Math.max(0, at - 60), at + found.length + 60)
}
