import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Logger } from '../../logger.js'

const CHANNEL = 'longshore'
const HEARTBEAT_MS = 10_000
const MAX_RECONNECT_MS = 5_000

interface ChannelEvents {
  readonly onPayload: (payload: string) => void
  /** The connection was lost and is back: payloads of the time between were not received. */
  readonly onGap: () => void
}

/** A connection that hears the notifications of all processes, and is made again whenever it is lost. */
export class NotificationChannel implements AsyncDisposable {
  readonly #closing = new AbortController()
  #client: pg.Client | null = null
  #running: Promise<void> = Promise.resolve()

  constructor(
    private readonly url: string,
    private readonly logger: Logger,
    private readonly on: ChannelEvents,
  ) {}

  async start(): Promise<void> {
    const first = await this.#connect()
    this.#running = this.#stayConnected(first)
  }

  /** Lost where there is no connection at present, as any notification may be. */
  async send(payload: string): Promise<void> {
    await this.#client?.query('SELECT pg_notify($1, $2)', [CHANNEL, payload]).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#client?.end().catch(() => undefined)
    await this.#running
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      application_name: 'longshore-wakeups',
    })
    client.on('error', () => undefined) // `end` follows, which is what is waited for
    client.on('notification', (message) => this.on.onPayload(message.payload ?? ''))
    await client.connect()
    await client.query(`LISTEN ${CHANNEL}`)
    this.#client = client
    return client
  }

  async #stayConnected(first: pg.Client): Promise<void> {
    let client = first
    for (;;) {
      await this.#untilLost(client)
      if (this.#closing.signal.aborted) return
      this.logger.warn('lost the wake-up connection; polling until it is back')
      const next = await this.#reconnect()
      if (!next) return
      client = next
      this.logger.info('wake-up connection is back')
      this.on.onGap()
    }
  }

  /** A half-open connection never ends by itself: a query that is not answered in 5 s ends it. */
  async #untilLost(client: pg.Client): Promise<void> {
    const heartbeat = setInterval(() => {
      client.query('SELECT 1').catch(() => void client.end().catch(() => undefined))
    }, HEARTBEAT_MS)
    heartbeat.unref()
    await new Promise<void>((resolve) => {
      client.once('end', resolve)
      if (this.#closing.signal.aborted) resolve()
    })
    clearInterval(heartbeat)
    this.#client = null
  }

  async #reconnect(): Promise<pg.Client | null> {
    for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, MAX_RECONNECT_MS)) {
      try {
        await sleep(waitMs, undefined, { signal: this.#closing.signal })
      } catch {
        return null
      }
      const client = await this.#connect().catch(() => null)
      if (client) return client
    }
  }
}
