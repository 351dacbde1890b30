import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lawsHold } from '../support/laws.js'
import { webApp } from '../support/repository.js'
import { type AppUnderTest, Scene } from '../support/scene.js'
import type { SimulatedWorker } from '../support/simulated-worker.js'
import { Visitor } from '../support/visitor.js'
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
  'warn',
  'enter-routing',
  'probe',
  'keep-running',
  'switch',
  'announce',
  'drain',
  'stop',
]
/** Of an automatic rollback. */
const ROLLBACK_STEPS = ['start-stopped', 'switch-back', 'drain-failed']
/** Of ending a first version that fails: faults/first-version.test.ts. */
const FAIL_STEPS = ['fail']
/** From here on the new version serves already when the process dies. */
const POINTS = STEPS.flatMap((name) => [`before:${name}`, `after:${name}`])
const SERVES = POINTS.slice(POINTS.indexOf('after:switch'))
/** From here on it is this commit, whatever is pushed. */
const PINNED = POINTS.slice(POINTS.indexOf('after:pin'))
/** Where a real process is killed: a few in each room of the recipe. */
const KILLED_AT = [
  'after:claim',
  'after:pin',
  'before:build',
  'after:accept',
  'after:create',
  'after:record',
  'before:switch',
  'after:switch',
]
/** Points are shared out among so many installations, which are at work at the same time. */
const LANES = 4
const SOURCES = join(import.meta.dirname, '../../../src/engine')

test('the points at which a process is killed are all that the sources have', () => {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  const texts = files
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(SOURCES, path), 'utf8'))
  const names = texts.flatMap((text) => [...text.matchAll(/\bstep\(\s*\w+(?:\.\w+)*,\s*['`]([^'`]+)['`]/g)])
  const entered = texts.flatMap((text) => [...text.matchAll(/\benter\(run, DeploymentStatus\.(\w+)/g)])
  const found = [
    ...names.map(([, name = '']) => name).filter((name) => !name.startsWith('enter-')),
    ...entered.map(([, status = '']) => `enter-${status.toLowerCase()}`),
  ]
  assert.deepEqual([...new Set(found)].sort(), [...STEPS, ...ROLLBACK_STEPS, ...FAIL_STEPS].sort())
})

describe('a worker that dies at', { concurrency: true }, () => {
  for (let lane = 0; lane < LANES; lane++) {
    const points = POINTS.filter((_point, index) => index % LANES === lane)
    test(`${points.length} points, ${lane + 1} of ${LANES}`, async (context) => {
      await using scene = await Scene.open()
      await using workers = new Simulated(scene, await scene.mortalWorker())
      const { app } = await scene.serving('steady')
      for (const point of points) await context.test(point, () => diesAt(scene, app, point, workers))
    })
  }
})

// What the simulated deaths above show is worth as much as they are like these.
test('a worker that is killed with SIGKILL at', async (context) => {
  await using scene = await Scene.open()
  const app = await servedBefore(scene)
  for (const point of KILLED_AT) {
    await context.test(point, async () => {
      await using workers = new Killed(scene)
      await diesAt(scene, app, point, workers)
    })
  }
})

async function servedBefore(scene: Scene): Promise<AppUnderTest> {
  await using _first = await scene.workerHere()
  return (await scene.serving('steady')).app
}

/** A worker that dies at a point. Disposing makes sure that it is gone. */
interface Dying extends AsyncDisposable {
  readonly died: Promise<unknown>
}

/** The worker that dies and the one after it. Disposing ends whichever is up. */
interface Workers extends AsyncDisposable {
  /** A worker that is up and dies at its next deployment. */
  dyingAt(point: string): Promise<Dying>
  takeOver(): Promise<void>
}

/** Who takes over from one is the next one to die: to start a worker takes longer than what it has to do here. */
class Simulated implements Workers {
  constructor(
    private readonly scene: Scene,
    private up: SimulatedWorker,
  ) {}

  async dyingAt(point: string): Promise<Dying> {
    // Of the deployment before, nothing is to come to that point any more.
    const stopping = 'SELECT 1 FROM deployment WHERE drain_until > now()'
    await until(async () => (await this.scene.rows(stopping)).length === 0)
    this.up.dieAt(point)
    return this.up
  }

  async takeOver(): Promise<void> {
    this.up = await this.scene.mortalWorker()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.up[Symbol.asyncDispose]()
  }
}

class Killed implements Workers {
  #next: AsyncDisposable | null = null

  constructor(private readonly scene: Scene) {}

  dyingAt(point: string): Promise<Dying> {
    return killedAt(this.scene, point)
  }

  async takeOver(): Promise<void> {
    this.#next = await this.scene.workerHere()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#next?.[Symbol.asyncDispose]()
  }
}

async function killedAt(scene: Scene, point: string, env?: Readonly<Record<string, string>>): Promise<Dying> {
  const worker = await scene.worker({ ...env, FAILPOINT: point })
  return {
    died: until(() => worker.child.signalCode === 'SIGKILL'),
    [Symbol.asyncDispose]: async () => void (await worker.kill()),
  }
}

/** What serves goes on, and the next process brings the deployment to its end, once. */
async function diesAt(scene: Scene, app: AppUnderTest, point: string, workers: Workers): Promise<void> {
  await using visitor = new Visitor(scene, app)
  const before = scene.docker.builds.finished
  scene.repository.commit(webApp(point))
  await using dying = await workers.dyingAt(point)
  const id = await scene.deploy(app)
  await dying.died
  assert.equal((await scene.deployment(id)).status === 'RUNNING', SERVES.includes(point))
  assert.match(await scene.askContainer(app), SERVES.includes(point) ? new RegExp(point) : /./)
  if (PINNED.includes(point)) scene.repository.commit(webApp('pushed meanwhile'))
  await scene.passTime()
  await dying[Symbol.asyncDispose]() // the router's port is free
  await workers.takeOver()
  await scene.reaches(id, 'RUNNING')
  await lawsHold(scene)
  assert.equal((await scene.ask(app)).body, point)
  assert.equal(scene.docker.builds.finished - before, 1, 'what is built is not built again')
  assert.equal(await scene.askContainer(app), point)
  assert.deepEqual(visitor.failures, [])
  assert.ok(visitor.answers > 3)
}

describe('a worker that dies during an automatic rollback, at', { concurrency: true }, () => {
  for (const name of ROLLBACK_STEPS) {
    test(`${name}: the next one does it, once`, async (context) => {
      for (const point of [`before:${name}`, `after:${name}`]) {
        await context.test(point, () => diesReturning(point, simulatedAt))
      }
    })
  }
  test('after:return, with SIGKILL', () => diesReturning('after:switch-back', killedAt))
})

async function simulatedAt(
  scene: Scene,
  point: string,
  env?: Readonly<Record<string, string>>,
): Promise<Dying> {
  const worker = await scene.mortalWorker(env)
  worker.dieAt(point)
  return worker
}

/** Without {@link Scene.passTime}: what the dead worker had reserved has to be free soon. */
async function diesReturning(point: string, death: typeof killedAt): Promise<void> {
  await using scene = await Scene.open()
  const watched = { WATCH_SECONDS: '60' }
  const first = await scene.workerHere(watched)
  const { app, deploymentId: before } = await scene.serving('steady')
  scene.repository.commit(webApp('second'))
  const failed = await scene.deploy(app)
  await scene.reaches(failed, 'RUNNING')
  await until(async () => (await scene.deployment(before)).addresses === null)
  await first[Symbol.asyncDispose]()
  await scene.docker.crash(`steady-${failed}`)
  await using dying = await death(scene, point, watched)
  await dying.died
  await dying[Symbol.asyncDispose]()
  {
    await using _next = await scene.workerHere(watched)
    await scene.reaches(failed, 'ROLLED_BACK')
    await lawsHold(scene)
    assert.equal((await scene.ask(app)).body, 'first')
  }
  assert.equal((await scene.deployment(before)).status, 'RUNNING')
  const back = (await scene.events(before)).filter((status) => status === 'RUNNING')
  assert.equal(back.length, 2, 'once by its deployment, once by the return')
}
