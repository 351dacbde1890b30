import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'

/** What the load process is to do; it is its one argument, as JSON. */
export interface LoadOrder {
  readonly port: number
  readonly host: string
  readonly perSecond: number
  /** At least so long, and until the parent says that it is enough, which is all that it says. */
  readonly seconds: number
  /** WebSockets that stay open at `echoHost` and say four letters every half second. */
  readonly sockets: number
  readonly echoHost: string
}

/** One request. Times are wall clock, in milliseconds. */
export interface Answer {
  readonly sentAt: number
  readonly endedAt: number
  readonly keptAlive: boolean
  /** The body; null when there was no whole answer with status 200. */
  readonly page: string | null
  readonly failure: string | null
}

export interface LoadReport {
  readonly answers: readonly Answer[]
  readonly sockets: { readonly sent: number; readonly echoed: number; readonly failures: readonly string[] }
}

const GIVE_UP_MS = 20_000
const MAX_OPEN = 64
const SAY_EVERY_MS = 500
const LISTEN_MS = 20

/**
 * Sends requests at a steady rate, whether or not earlier ones were answered: half on kept connections. On a machine
 * that cannot keep up, {@link MAX_OPEN} bounds what piles up, and fewer are sent.
 */
async function sendRequests(order: LoadOrder, enough: AbortSignal): Promise<Answer[]> {
  const agent = new Agent({ keepAlive: true })
  const answers: Answer[] = []
  const open = new Set<Promise<void>>()
  const startedAt = performance.now()
  const end = startedAt + order.seconds * 1000
  let sent = 0
  for (let at = startedAt; at < end || !enough.aborted; at = performance.now()) {
    const due = Math.floor(((at - startedAt) / 1000) * order.perSecond)
    for (; sent < due && open.size < MAX_OPEN; sent++) {
      const asked: Promise<void> = ask(order, sent % 2 === 0 ? agent : false).then((answer) => {
        answers.push(answer)
        open.delete(asked)
      })
      open.add(asked)
    }
    if (open.size >= MAX_OPEN) await Promise.race(open)
    else await sleep(1000 / order.perSecond)
  }
  await Promise.all(open)
  agent.destroy()
  return answers
}

function ask({ port, host }: LoadOrder, agent: Agent | false): Promise<Answer> {
  return new Promise((resolve) => {
    const sentAt = now()
    const finish = (page: string | null, failure: string | null) =>
      resolve({ sentAt, endedAt: now(), keptAlive: agent !== false, page, failure })
    const options = { host: '127.0.0.1', port, headers: { host }, agent, timeout: GIVE_UP_MS }
    const asked = request(options, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => (text += piece))
      answer.on('error', (error: NodeJS.ErrnoException) => finish(null, error.code ?? error.message))
      answer.on('end', () => {
        if (answer.statusCode === 200) finish(text, null)
        else finish(null, `status ${answer.statusCode}`)
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${GIVE_UP_MS} ms`)))
    asked.on('error', (error: NodeJS.ErrnoException) => finish(null, error.code ?? error.message))
    asked.end()
  })
}

/** Each message is sent when the one before it has come back. */
class Talk {
  sent = 0
  echoed = 0
  readonly failures: string[] = []
  #waiting: string | null = null
  #ended = false
  readonly #socket: WebSocket
  readonly #timer: NodeJS.Timeout

  constructor({ port, echoHost }: LoadOrder) {
    // The app is a shell script, which cannot undo a mask.
    const generateMask = (mask: Buffer) => void mask.fill(0)
    const options = { headers: { host: echoHost }, perMessageDeflate: false, generateMask }
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/`, options)
    this.#socket.on('error', (error) => this.failures.push(error.message))
    this.#socket.on('close', (code) => this.#ended || this.failures.push(`closed with ${code}`))
    this.#socket.on('message', (data: Buffer) => this.#hear(data.toString()))
    this.#timer = setInterval(() => this.#say(), SAY_EVERY_MS)
  }

  /** Says no more, and ends when the last answer has come, or is not to come any more. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    const until = performance.now() + GIVE_UP_MS
    while (this.#waiting !== null && this.#isOpen && performance.now() < until) await sleep(LISTEN_MS)
    this.#ended = true
    this.#socket.terminate()
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN
  }

  #say(): void {
    if (this.#waiting !== null || !this.#isOpen) return
    this.#waiting = String(1000 + (this.sent++ % 9000))
    this.#socket.send(this.#waiting)
  }

  #hear(text: string): void {
    if (text === this.#waiting) this.echoed++
    else this.failures.push(`heard ${text} for ${this.#waiting}`)
    this.#waiting = null
  }
}

function now(): number {
  return performance.timeOrigin + performance.now()
}

async function main(order: LoadOrder): Promise<void> {
  const enough = new AbortController()
  process.once('message', () => enough.abort())
  // Nobody waits for the report any more.
  process.once('disconnect', () => process.exit())
  const talks = Array.from({ length: order.sockets }, () => new Talk(order))
  const answers = await sendRequests(order, enough.signal)
  await Promise.all(talks.map((talk) => talk.end()))
  const sum = (part: 'sent' | 'echoed') => talks.reduce((total, talk) => total + talk[part], 0)
  const failures = talks.flatMap((talk) => talk.failures)
  const report: LoadReport = { answers, sockets: { sent: sum('sent'), echoed: sum('echoed'), failures } }
  process.send?.(report, () => process.disconnect())
}

await main(JSON.parse(process.argv[2] ?? '') as LoadOrder)
