import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lawsHold } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { type AppUnderTest, Scene, Visitor } from '../support/scene.js'
import { until } from '../support/server.js'

const STEPS = [
  'claim',
  'reuse',
  'clone',
  'pin',
  'find-built',
  'enter-building',
  'build',
  'accept',
  'enter-starting',
  'create',
  'start',
  'check',
  'record',
  'enter-routing',
  'route',
  'reach',
  'keep-running',
  'switch',
  'drain',
  'stop',
]
/** Of sending traffic back to the version before. */
const RETURN_STEPS = ['wake', 'return', 'drain-failed']
/** From here on the new version serves already when the process dies. */
const POINTS = STEPS.flatMap((name) => [`before:${name}`, `after:${name}`])
const SERVES = POINTS.slice(POINTS.indexOf('after:switch')).concat('after:route')
/** From here on it is this commit, whatever is pushed. */
const PINNED = POINTS.slice(POINTS.indexOf('after:pin'))
/** Points are shared out among so many installations, which are at work at the same time. */
const LANES = 4
const SOURCES = join(import.meta.dirname, '../../../src/engine')

test('the points at which a process is killed are all that the sources have', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  const texts = files
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(SOURCES, path), 'utf8'))
  const names = texts.flatMap((text) => [...text.matchAll(/\bstep\(\s*\w+(?:\.\w+)*,\s*['`]([^'`]+)['`]/g)])
  const entered = texts.flatMap((text) => [...text.matchAll(/\benter\(work, DeploymentStatus\.(\w+)/g)])
  const found = [
    ...names.map(([, name = '']) => name).filter((name) => !name.startsWith('enter-')),
    ...entered.map(([, status = '']) => `enter-${status.toLowerCase()}`),
  ]
  assert.deepEqual([...new Set(found)].sort(), [...STEPS, ...RETURN_STEPS].sort())
})

describe('a worker killed at', { concurrency: true }, () => {
  for (let lane = 0; lane < LANES; lane++) {
    const points = POINTS.filter((_point, index) => index % LANES === lane)
    test(`${points.length} points, ${lane + 1} of ${LANES}`, async (context) => {
      await using scene = await Scene.open()
      const first = await scene.workerHere()
      const { app } = await scene.serving('steady')
      await first[Symbol.asyncDispose]()
      for (const point of points) await context.test(point, () => diesAt(scene, app, point))
    })
  }
})

/** What serves goes on, and the next process brings the deployment to its end, once. */
async function diesAt(scene: Scene, app: AppUnderTest, point: string): Promise<void> {
  await scene.installation.processes.at(-1)?.kill() // a point that failed has left it
  await using visitor = new Visitor(scene, app)
  const before = scene.docker.builds.finished
  scene.repository.commit(webApp(point))
  const dying = await scene.worker({ FAILPOINT: point })
  const id = await scene.deploy(app)
  await until(10_000, () => dying.child.signalCode === 'SIGKILL')
  assert.equal((await scene.deployment(id)).status === 'RUNNING', SERVES.includes(point))
  assert.match(await scene.askContainer(app), SERVES.includes(point) ? new RegExp(point) : /./)
  if (PINNED.includes(point)) scene.repository.commit(webApp('pushed meanwhile'))
  await scene.passTime()
  {
    await using _next = await scene.workerHere()
    await scene.reaches(id, 'RUNNING', 15_000)
    await lawsHold(scene, 20_000)
    assert.equal((await scene.ask(app)).body, point)
    assert.equal(scene.docker.builds.finished - before, 1, 'what is built is not built again')
  }
  assert.equal(await scene.askContainer(app), point)
  assert.deepEqual(visitor.failures, [])
  assert.ok(visitor.answers > 3)
}

describe('a worker killed while it sends traffic back, at', { concurrency: true }, () => {
  for (const name of RETURN_STEPS) {
    test(`${name}: the next one does it, once`, async (context) => {
      for (const point of [`before:${name}`, `after:${name}`]) {
        await context.test(point, () => diesReturning(point))
      }
    })
  }
})

/** Without {@link Scene.passTime}: what the dead worker had reserved has to be free soon. */
async function diesReturning(point: string): Promise<void> {
  await using scene = await Scene.open()
  const watched = { WATCH_SECONDS: '60' }
  const first = await scene.workerHere(watched)
  const { app, deploymentId: before } = await scene.serving('steady')
  scene.repository.commit(webApp('second'))
  const failed = await scene.deploy(app)
  await scene.reaches(failed, 'RUNNING')
  await until(10_000, async () => (await scene.deployment(before)).addresses === null)
  await first[Symbol.asyncDispose]()
  await scene.docker.crash(`steady-${failed}`)
  const dying = await scene.worker({ ...watched, FAILPOINT: point })
  await until(10_000, () => dying.child.signalCode === 'SIGKILL')
  {
    await using _next = await scene.workerHere(watched)
    await scene.reaches(failed, 'ROLLED_BACK', 20_000)
    await lawsHold(scene, 20_000)
    assert.equal((await scene.ask(app)).body, 'first')
  }
  assert.equal((await scene.deployment(before)).status, 'RUNNING')
  const back = (await scene.events(before)).filter((status) => status === 'RUNNING')
  assert.equal(back.length, 2, 'once by its deployment, once by the return')
}
