import type { ClientHttp2Session } from 'node:http2'
import { Events } from './events.js'
import type { Exchange, Reply } from './exchange.js'
import type { Dialect } from './generations.js'
import { EngineState, type FakeContainer, type FakeImage } from './model.js'
import { Runtime } from './runtime.js'

/** Builds that were asked for, and how they ended. */
export interface BuildCounts {
  started: number
  finished: number
  failed: number
  /** The client went away. */
  aborted: number
}

/** What `exec` was asked to run. */
export interface Command {
  readonly container: FakeContainer
  readonly words: readonly string[]
  /** Null: it has not been started. */
  exitCode: number | null
}

/** What the routes work on. */
export class Engine {
  readonly state: EngineState
  readonly events: Events
  readonly runtime: Runtime
  /** Open sessions of BuildKit's clients, by their ids. */
  readonly sessions = new Map<string, ClientHttp2Session>()
  /** Commands inside containers, by their ids. */
  readonly commands = new Map<string, Command>()
  readonly builds: BuildCounts = { started: 0, finished: 0, failed: 0, aborted: 0 }
  /** Changes an image before it is there: more labels, another size. */
  onBuild: (image: FakeImage) => void = () => undefined
  version: string
  id = 'FAKE:FAKE:FAKE:FAKE:FAKE:FAKE:FAKE:FAKE:FAKE:FAKE:FAKE:FAKE'
  swarmState: 'inactive' | 'active' = 'inactive'
  /** Bytes that a pruning of the build cache has found. */
  buildCacheBytes = 0

  constructor(readonly dialect: Dialect) {
    this.version = dialect.version
    this.state = new EngineState(dialect)
    this.events = new Events(dialect)
    this.runtime = new Runtime(this.state, this.events, dialect)
  }
}

export interface Route {
  readonly method: string
  readonly path: RegExp
  answer(engine: Engine, exchange: Exchange, name: string): Reply | Promise<Reply>
}

export function route(method: string, path: RegExp, answer: Route['answer']): Route {
  return { method, path, answer }
}

export const OK: Reply = { status: 200 }
export const DONE: Reply = { status: 204 }
export const ALREADY: Reply = { status: 304 }

export function json(value: unknown, status = 200): Reply {
  return { status, json: value }
}
