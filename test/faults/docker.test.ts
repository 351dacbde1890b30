import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultOptions } from '../support/fake-docker/faults.js'
import { lawsHold } from '../support/laws.js'
import { TestRepository, webApp } from '../support/repository.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import { Visitor } from '../support/visitor.js'
import { until } from '../support/server.js'

interface Case {
  readonly title: string
  readonly fault: (name: string) => FaultOptions
  /** Code of the failure; null: it runs after all. */
  readonly code: string | null
  readonly attempts: number
}

const build = (name: string) => new RegExp(`^/build\\?.*mvp-${name}:`)
const create = (name: string) => new RegExp(`^/containers/create\\?name=${name}-`)
const start = (name: string) => new RegExp(`^/containers/${name}-[^/]+/start`)
const inspect = (name: string) => new RegExp(`^/containers/${name}-[^/]+/json`)

function strikes(path: (name: string) => RegExp, options: Omit<FaultOptions, 'path'>): Case['fault'] {
  return (name) => ({ path: path(name), ...options })
}

const CASES: readonly Case[] = [
  { title: 'build hangs', fault: strikes(build, { kind: 'hang' }), code: 'BUILD_STALLED', attempts: 1 },
  { title: 'build refused', fault: strikes(build, { kind: 'error500' }), code: 'BUILD_FAILED', attempts: 1 },
  { title: 'build broken off', fault: strikes(build, { kind: 'reset', after: 2 }), code: null, attempts: 2 },
  {
    title: 'build ends early',
    fault: strikes(build, { kind: 'early-eof', after: 2 }),
    code: null,
    attempts: 2,
  },
  {
    title: 'build ends in a line',
    fault: strikes(build, { kind: 'half-frame', after: 2 }),
    code: null,
    attempts: 2,
  },
  {
    title: 'build fails',
    fault: strikes(build, { kind: 'error-line', code: 3 }),
    code: 'BUILD_FAILED',
    attempts: 1,
  },
  {
    title: 'build done, answer lost',
    fault: strikes(build, { kind: 'done-then-error' }),
    code: null,
    attempts: 2,
  },
  ...[create, start, inspect].map((path): Case => ({
    title: `${path.name} hangs`,
    fault: strikes(path, { kind: 'hang' }),
    code: null,
    attempts: 2,
  })),
  ...[create, start].map((path): Case => ({
    title: `${path.name} broken off twice`,
    fault: strikes(path, { kind: 'reset', times: 2 }),
    code: null,
    attempts: 3,
  })),
  {
    title: 'inspect broken off twice', // what only reads is asked once more at once
    fault: strikes(inspect, { kind: 'reset', times: 2 }),
    code: null,
    attempts: 2,
  },
  { title: 'create refused', fault: strikes(create, { kind: 'error500' }), code: null, attempts: 2 },
  // With this status the engine says that an image's command cannot be run, too.
  { title: 'start refused', fault: strikes(start, { kind: 'error500' }), code: 'START_FAILED', attempts: 1 },
  { title: 'inspect refused', fault: strikes(inspect, { kind: 'error500' }), code: null, attempts: 2 },
  { title: 'inspect ends early', fault: strikes(inspect, { kind: 'early-eof' }), code: null, attempts: 2 },
  {
    title: 'create done, answer lost',
    fault: strikes(create, { kind: 'done-then-error' }),
    code: null,
    attempts: 2,
  },
  {
    title: 'start done, answer lost',
    fault: strikes(start, { kind: 'done-then-error' }),
    code: null,
    attempts: 2,
  },
  {
    title: 'create never works',
    fault: strikes(create, { kind: 'error500', times: 100 }),
    code: 'DOCKER_FAILED',
    attempts: 3,
  },
]

describe('an engine at which', () => {
  let scene: Scene
  const apps: AppUnderTest[] = []
  const ids: string[] = []
  const repository = new TestRepository(talkative())
  let chatty: string
  before(async () => {
    scene = await Scene.open()
    await scene.worker({
      ENGINE_CONCURRENCY: '10',
      LEASE_SECONDS: '20',
      DOCKER_TIMEOUT: '5',
      BUILD_SILENCE_TIMEOUT: '5',
      BUILD_TIMEOUT: '8',
    })
    for (let index = 0; index < CASES.length; index++) apps.push(await scene.app(`case-${index}-x`))
    const first = await Promise.all(apps.map((app) => scene.deploy(app)))
    for (const id of first) await scene.reaches(id, 'RUNNING')
    scene.repository.commit(webApp('second'))
    for (const [index, app] of apps.entries()) {
      const fault = CASES[index]?.fault(app.name)
      if (fault) scene.docker.fault(fault)
      ids.push(await scene.deploy(app))
    }
    const values = { name: 'chatty', repoUrl: repository.url, deploy: false }
    const { id } = await scene.own.commands.apps.create(values)
    chatty = (await scene.own.commands.deployments.deploy(id, {})).id
    await until(() => settled(scene, [...ids, chatty]), 50)
  })
  after(async () => {
    await scene[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
  })

  for (const [index, { title, code, attempts }] of CASES.entries()) {
    test(`${title}: ${code ?? 'runs'} at attempt ${attempts}`, async () => {
      const { status, error_code, attempt } = await scene.deployment(ids[index] ?? '')
      assert.deepEqual(
        { status, error_code, attempt },
        { status: code ? 'FAILED' : 'RUNNING', error_code: code, attempt: attempts },
        await scene.log(ids[index] ?? ''),
      )
      const app = apps[index]
      assert.ok(app)
      // What failed after the build takes its image again, also one of whose end nobody heard.
      const builds = (await scene.log(ids[index] ?? '')).match(/^Built /gm)?.length ?? 0
      const isUnheard = title === 'build done, answer lost'
      assert.equal(builds, isUnheard || (code && title.startsWith('build')) ? 0 : 1)
      assert.equal(await scene.askContainer(app), code ? 'first' : 'second')
    })
  }

  test('a build talks on past its limit: BUILD_TIMEOUT, and the build is broken off', async () => {
    const { status, error_code, error_message, attempt } = await scene.deployment(chatty)
    const log = await scene.log(chatty)
    assert.deepEqual(
      { status, error_code, attempt },
      { status: 'FAILED', error_code: 'BUILD_TIMEOUT', attempt: 1 },
    )
    assert.match(error_message ?? '', /^the build took longer than 8 s \(BUILD_TIMEOUT\)$/)
    assert.match(log, /^still at it: 6$/m)
    assert.doesNotMatch(log, /^still at it: 12$/m)
  })

  test('nothing is left of what failed', () => lawsHold(scene))

  test('what fails for the engine is tried again after 5 s and then 10 s, give or take a fifth', async () => {
    const app = await scene.app('patient')
    scene.docker.fault({ path: create(app.name), kind: 'error500', times: 2 })
    const id = await scene.deploy(app)
    for (const [attempt, least, most] of [
      [1, 4, 6],
      [2, 8, 12],
    ] as const) {
      const pause = await until(() => pauseOf(scene, id, attempt))
      assert.ok(pause > least - 0.1 && pause < most, `${pause} s, and not ${least} to ${most}`)
      await scene.sql.query('UPDATE deployment SET next_run_at = now() WHERE id = $1', [id])
    }
    await scene.reaches(id, 'RUNNING')
    assert.equal((await scene.deployment(id)).attempt, 3)
  })

  for (const kind of ['hang', 'error500', 'reset', 'early-eof'] as const) {
    test(`list of containers fails (${kind}): what was replaced goes all the same`, async () => {
      const fault = scene.docker.fault({ path: /^\/containers\/json/, kind, times: 2 })
      const app = await scene.app(`list-${kind.replace('error500', 'refused')}`)
      await scene.reaches(await scene.deploy(app), 'RUNNING')
      await scene.reaches(await scene.deploy(app), 'RUNNING')
      await until(() => fault.hits > 0)
      await lawsHold(scene)
    })
  }
})

test('two networks of the name that were made at the same time become one', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  const { app } = await scene.serving('networked')
  const named = () => [...scene.docker.networks.values()].filter(({ name }) => name === 'longshore')
  const [first] = named()
  assert.ok(first)
  const second = { ...first, id: 'f'.repeat(64), created: new Date() }
  scene.docker.networks.set(second.id, second)
  scene.repository.commit(webApp('second'))
  await scene.reaches(await scene.deploy(app), 'RUNNING')
  assert.deepEqual(named(), [first])
})

/** Does not wait for the pause between two attempts. */
async function settled(scene: Scene, ids: readonly string[]): Promise<boolean> {
  await scene.sql.query(`UPDATE deployment SET next_run_at = now() WHERE status = 'PENDING'`)
  const sql = `SELECT 1 FROM deployment WHERE id = ANY($1) AND status NOT IN ('RUNNING', 'FAILED')`
  return (await scene.rows(sql, [ids])).length === 0
}

test('replicas are switched together: where one of three does not come up the version before serves alone', async () => {
  await using scene = await Scene.open()
  await using _worker = await scene.workerHere()
  const { app, deploymentId: before } = await scene.serving('trio')
  const settings = 'UPDATE stage SET replicas = 3, health_deadline_seconds = $2 WHERE id = $1'
  const next = async (deadline: number) => {
    await scene.sql.query(settings, [app.stageId, deadline])
    scene.repository.commit(webApp(`within ${deadline} s`))
    return scene.deploy(app)
  }
  await using visitor = new Visitor(scene, app)

  scene.docker.behaviour = ({ name }) => (name.endsWith('-3') ? { listens: false } : null)
  const unhealthy = await next(2)
  await scene.reaches(unhealthy, 'FAILED')
  assert.equal((await scene.deployment(unhealthy)).error_code, 'UNHEALTHY')
  await lawsHold(scene)

  // The first ends; the others are not heard of any more when they are removed for it.
  scene.docker.behaviour = ({ name }) =>
    /-[23]$/.test(name)
      ? { listens: false, output: ['a sibling says'] }
      : { listens: false, exitCode: 3, exitAfterMs: 300 }
  const removes = scene.docker.hold(/^\/containers\/[0-9a-f]{64}\?/)
  const ends = await next(60)
  await removes.until()
  await sleep(300)
  removes.release()
  await scene.reaches(ends, 'FAILED')
  assert.equal((await scene.deployment(ends)).error_code, 'EXITED')
  assert.doesNotMatch(await scene.log(ends), /a sibling says/)
  await lawsHold(scene)
  assert.equal((await scene.deployment(before)).status, 'RUNNING')
  assert.deepEqual(visitor.failures, [])
})
/** Seconds from when an attempt of a deployment was given back until the next may begin; null: it was not yet. */
async function pauseOf(scene: Scene, id: string, attempt: number): Promise<number | null> {
  const sql = `SELECT extract(epoch FROM d.next_run_at - e.at)::float8 AS pause
                 FROM deployment d JOIN deployment_event e ON e.deployment_id = d.id AND e.epoch = d.epoch
                WHERE d.id = $1 AND d.attempt = $2 AND d.status = 'PENDING' AND e.to_status = 'PENDING'`
  return (await scene.rows<{ pause: number }>(sql, [id, attempt]))[0]?.pause ?? null
}
/** Its build says something each second for longer than it may take. */
function talkative(): Record<string, string> {
  const step = (n: number) => `echo "still at it: ${n + 1}"; sleep 1`
  return webApp('talkative', [[...Array(12).keys()].map(step).join('; ')])
}
