import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { withMirrorLock } from '../../src/engine/git/mirror-lock.js'
import type { AppUnderTest, Scene } from './scene.js'
import type { ServerProcess } from './server.js'

/** Where a deployment can be held. */
export const HELD_AT = ['clone', 'build', 'create', 'start', 'keep-running'] as const
export type HeldAt = (typeof HELD_AT)[number]

/** The status in which it waits there. */
export const STATUS_AT: Readonly<Record<HeldAt, string>> = {
  clone: 'CLONING',
  build: 'BUILDING',
  create: 'STARTING',
  start: 'STARTING',
  'keep-running': 'ROUTING',
}

const PATHS: Readonly<Record<Exclude<HeldAt, 'clone'>, RegExp>> = {
  build: /^\/build\?/,
  create: /^\/containers\/create/,
  start: /^\/containers\/[^/]+\/start/,
  'keep-running': /^\/containers\/[^/]+\/update/,
}

export interface Hold {
  /** Resolves when a deployment waits there. */
  reached(id: string): Promise<unknown>
  release(): void
}

/** Holds every deployment that comes to `place` until it is released. */
export async function hold(scene: Scene, place: HeldAt): Promise<Hold> {
  if (place !== 'clone') {
    const gate = scene.docker.hold(PATHS[place])
    return { reached: () => gate.until(), release: () => gate.release() }
  }
  // The mirror's lock is held by a process that lives: this one.
  const hash = createHash('sha256').update(scene.repository.url).digest('hex').slice(0, 32)
  const root = join(scene.installation.dataDir, 'mirrors')
  mkdirSync(root, { recursive: true })
  const release = await new Promise<() => void>((resolve, reject) => {
    const untilReleased = () => new Promise<void>((released) => resolve(released))
    withMirrorLock(join(root, `${hash}.git`), AbortSignal.timeout(60_000), untilReleased).catch(reject)
  })
  return { reached: (id) => scene.reaches(id, 'CLONING'), release }
}

export interface UnderWay {
  readonly worker: ServerProcess
  readonly held: Hold
  readonly app: AppUnderTest
  /** The deployment. */
  readonly id: string
}

/** Starts a worker, and holds its deployment of a new app, `held`, at `place`. */
export async function underWay(
  scene: Scene,
  place: HeldAt,
  env: Readonly<Record<string, string>> = {},
): Promise<UnderWay> {
  const worker = await scene.worker(env)
  const held = await hold(scene, place)
  const app = await scene.app('held')
  const id = await scene.deploy(app)
  await held.reached(id)
  return { worker, held, app, id }
}
