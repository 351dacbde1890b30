import { WebSocket } from 'ws'
import { TOKEN } from '../test/support/server.js'
import { monotonic } from './log-source.js'

/** What a process of viewers tells its parent when all are through. */
export interface Viewed {
  /** Events that came, of all viewers together. */
  readonly events: number
  /** Of some viewers: when which event came, the first is 0. */
  readonly seen: readonly (readonly [event: number, at: number])[]
  /** What the first viewer got. */
  readonly messages: readonly string[]
}

/** Viewers whose times are taken; the others only count. */
const TIMED = 10

const QUERY = 'subscription ($id: ID!) { deploymentLogs(deploymentId: $id) { seq at phase stream text } }'

/** Clients that do next to nothing: what is measured is the server. */
class Viewers {
  #ready = 0
  #ended = 0
  #events = 0
  readonly #seen: [number, number][] = []
  readonly #messages: string[] = []

  constructor(
    private readonly port: number,
    private readonly count: number,
    private readonly deploymentId: string | null,
  ) {}

  async start(): Promise<void> {
    for (let index = 0; index < this.count; index++) await this.#open(index)
  }

  #open(index: number): Promise<void> {
    const options = { perMessageDeflate: false }
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/graphql`, 'graphql-transport-ws', options)
    let own = 0
    const isTimed = index % Math.ceil(this.count / TIMED) === 0
    const isEvent = (data: Buffer) => !this.deploymentId || data.includes('"type":"next"')
    socket.on('message', (data: Buffer) => {
      if (!isEvent(data)) return this.#control(socket, data.toString())
      if (isTimed) this.#seen.push([own, monotonic()])
      if (index === 0) this.#messages.push(data.toString())
      if (own++ === 0) this.#isReady()
      this.#events += 1
    })
    socket.once('close', () => this.#end())
    return new Promise((resolve) => {
      socket.once('open', () => {
        const hello = { type: 'connection_init', payload: { authorization: `Bearer ${TOKEN}` } }
        if (this.deploymentId) socket.send(JSON.stringify(hello))
        resolve()
      })
    })
  }

  #control(socket: WebSocket, message: string): void {
    const { type } = JSON.parse(message) as { type: string }
    if (type === 'complete') return socket.close()
    const payload = { query: QUERY, variables: { id: this.deploymentId } }
    if (type === 'connection_ack')
      socket.send(JSON.stringify({ id: crypto.randomUUID(), type: 'subscribe', payload }))
    else if (type !== 'ping') throw new Error(message)
  }

  #isReady(): void {
    if (++this.#ready === this.count) process.send?.('ready')
  }

  #end(): void {
    if (++this.#ended < this.count) return
    const viewed: Viewed = { events: this.#events, seen: this.#seen, messages: this.#messages }
    process.send?.(viewed, () => process.disconnect())
  }
}

const [port, count, deploymentId] = process.argv.slice(2)
await new Viewers(Number(port), Number(count), deploymentId ?? null).start()
