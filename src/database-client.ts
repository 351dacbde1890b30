import type { Socket } from 'node:net'
import pg from 'pg'
import { isResourceExhaustion } from './engine/resource-exhaustion.js'
import { DatabaseSilentError, hasSqlState } from './engine/sql/errors.js'

/** What the server may take for a new session, and for its answer on it. Both together are shorter than a silence. */
const PROBE_MS = 4_000

/** `pid` of each session and what it does. A pooler in between gives pids of its own: `own` tells. */
const SESSIONS = 'SELECT pg_backend_pid() AS own, pid, state FROM pg_stat_activity WHERE state IS NOT NULL'

interface SessionRow {
  readonly own: number
  readonly pid: number
  readonly state: string
}

/** Whether a session still works on what it was asked: 'unknown' where the server does not say. */
type Verdict = 'working' | 'lost' | 'unknown'

/** Asks the server, on a connection of its own, what the sessions of a pool do. */
export class SessionProbe {
  #asking: Promise<(pid: number | null) => Verdict> | null = null

  constructor(private readonly url: string) {}

  /** 'lost' also where nothing answers. Within 8 s; who asks meanwhile shares the answer. */
  async ask(pid: number | null): Promise<Verdict> {
    this.#asking ??= this.#read().finally(() => (this.#asking = null))
    return (await this.#asking)(pid)
  }

  async #read(): Promise<(pid: number | null) => Verdict> {
    const client = new pg.Client({
      connectionString: this.url,
      connectionTimeoutMillis: PROBE_MS,
      query_timeout: PROBE_MS,
      application_name: 'longshore-probe',
    })
    client.on('error', () => undefined) // whoever waits for it hears of it
    try {
      await client.connect()
      const { rows } = await client.query<SessionRow>(SESSIONS)
      const isPooled = rows.some(({ own }) => own !== processIdOf(client))
      const states = new Map(rows.map(({ pid, state }) => [pid, state]))
      return (pid) => {
        if (pid === null || isPooled) return 'unknown'
        // `disabled` where the server does not keep track.
        return /^idle/.test(states.get(pid) ?? 'idle') ? 'lost' : 'working'
      }
    } catch (error) {
      // Too many sessions, or starting up: a word of the server's. And what this process lacks says nothing of it.
      const verdict = hasSqlState(error) || isResourceExhaustion(error) ? 'unknown' : 'lost'
      return () => verdict
    } finally {
      void client.end().catch(() => undefined)
    }
  }
}

export interface DatabaseClientOptions {
  /** How long the server may say nothing before it is asked whether it is at work. */
  readonly silentMs: number
  readonly probe: SessionProbe
}

/**
 * A session whose statements may take as long as they need, and fail when the server is gone or knows nothing of them:
 * packets that are dropped are no error to TCP for a quarter of an hour.
 */
export class DatabaseClient extends pg.Client {
  readonly #options: DatabaseClientOptions
  #pending = 0
  #timer: NodeJS.Timeout | undefined

  constructor(config: pg.ClientConfig & DatabaseClientOptions) {
    super(config)
    this.#options = config
    const query = this.query.bind(this) as (...args: unknown[]) => unknown
    // Its overloads cannot be overridden by a method of one signature.
    Object.assign(this, {
      query: (...args: unknown[]) => {
        const answer = query(...args)
        if (answer instanceof Promise) this.#watch(answer)
        return answer
      },
    })
  }

  #watch(answer: Promise<unknown>): void {
    if (this.#pending++ === 0) this.#wait()
    const settled = () => {
      if (--this.#pending === 0) clearTimeout(this.#timer)
    }
    answer.then(settled, settled)
  }

  #wait(): void {
    const heard = this.#socket.bytesRead
    this.#timer = setTimeout(() => void this.#look(heard), this.#options.silentMs)
  }

  async #look(heard: number): Promise<void> {
    const isSilent = () => this.#pending > 0 && this.#socket.bytesRead === heard
    if (isSilent() && (await this.#options.probe.ask(processIdOf(this))) === 'lost' && isSilent()) {
      this.#socket.destroy(new DatabaseSilentError())
    } else if (this.#pending > 0) this.#wait()
  }

  get #socket(): Socket {
    return (this.connection as unknown as { readonly stream: Socket }).stream
  }
}

/** The server's own number of a session, which the types leave out. */
function processIdOf(client: pg.Client): number | null {
  return (client as unknown as { readonly processID: number | null }).processID
}
