import { type Client, createClient } from 'graphql-ws'
import { type Store, Value } from './store.js'

/** The server does not take the token. */
export const FORBIDDEN = 4403
/** A socket that says nothing for so long is asked whether it is still there … */
const PING_MS = 10_000
/** … and given up when it does not answer by then: what is between may have gone without a word. */
const ANSWER_MS = 5_000
/** The first attempt comes so soon after a loss, and each further one after twice the time, up to the last. */
const FIRST_WAIT_MS = 250
const LAST_WAIT_MS = 5_000
/** The socket stays open for as long between two screens. */
const IDLE_MS = 3_000

export type ConnectionState = 'connecting' | 'live' | 'lost'

export interface Socket {
  readonly client: Client
  readonly state: Store<ConnectionState>
}

export interface SocketOptions {
  /** ws:// or wss:// */
  readonly url: string
  /** Called for each connection: the token may have changed since the last. */
  readonly token: () => string | null
}

/** A socket for subscriptions that comes back by itself, for as long as anybody is subscribed. */
export function openSocket({ url, token }: SocketOptions): Socket {
  const state = new Value<ConnectionState>('connecting')
  let watchdog: ReturnType<typeof setTimeout> | undefined
  const expectAnswer = () => {
    clearTimeout(watchdog)
    watchdog = setTimeout(() => client.terminate(), ANSWER_MS)
  }
  const lost = () => {
    clearTimeout(watchdog)
    state.set('lost')
  }
  const client = createClient({
    url,
    connectionParams: () => ({ authorization: `Bearer ${token() ?? ''}` }),
    keepAlive: PING_MS,
    lazyCloseTimeout: IDLE_MS,
    retryAttempts: Infinity,
    retryWait: waitForRetry,
    // By default only closed connections are retried, not those that could not be opened: a restart takes both.
    shouldRetry: (event) => closeCode(event) !== FORBIDDEN,
    on: {
      connecting: expectAnswer,
      connected: () => {
        clearTimeout(watchdog)
        state.set('live')
      },
      ping: (isReceived) => !isReceived && expectAnswer(),
      message: () => clearTimeout(watchdog),
      closed: lost,
      error: lost,
    },
  })
  return { client, state }
}

/** Undefined: it is no event of a connection that was closed. */
export function closeCode(event: unknown): number | undefined {
  if (typeof event !== 'object' || event === null || !('code' in event)) return undefined
  return typeof event.code === 'number' ? event.code : undefined
}

/** Longer each time, not all clients at once, and no longer than until the browser is online again. */
function waitForRetry(retries: number): Promise<void> {
  const longest = Math.min(FIRST_WAIT_MS * 2 ** retries, LAST_WAIT_MS)
  return new Promise((resolve) => {
    const timer = setTimeout(done, longest * (0.5 + Math.random() / 2))
    addEventListener('online', done)
    function done() {
      clearTimeout(timer)
      removeEventListener('online', done)
      resolve()
    }
  })
}
