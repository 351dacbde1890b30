import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { now } from './processes.js'

const GIVE_UP_MS = 20_000

export interface Answer {
  readonly host: string
  readonly sentAt: number
  readonly endedAt: number
  /** Null: no whole answer with status 200. */
  readonly page: string | null
  readonly failure: string | null
}

/** Asks hosts all the time through the router, every other time on a connection that is kept. */
export class Visitors {
  readonly answers: Answer[] = []
  readonly #visits = new Map<string, { readonly loop: Promise<void>; leave(): void }>()

  constructor(private readonly port: number) {}

  visit(host: string, everyMs: number): void {
    const leaving = new AbortController()
    this.#visits.set(host, { loop: this.#ask(host, everyMs, leaving.signal), leave: () => leaving.abort() })
  }

  async leave(host: string): Promise<void> {
    const visit = this.#visits.get(host)
    this.#visits.delete(host)
    visit?.leave()
    await visit?.loop
  }

  async leaveAll(): Promise<void> {
    await Promise.all([...this.#visits.keys()].map((host) => this.leave(host)))
  }

  async #ask(host: string, everyMs: number, signal: AbortSignal): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let number = 0; !signal.aborted; number++) {
      this.answers.push(await askOnce(this.port, host, number % 2 === 0 && agent))
      await sleep(everyMs)
    }
    agent.destroy()
  }
}

function askOnce(port: number, host: string, agent: Agent | false): Promise<Answer> {
  const sentAt = now()
  return new Promise((resolve) => {
    const finish = (page: string | null, failure: string | null) =>
      resolve({ host, sentAt, endedAt: now(), page, failure })
    const options = { host: '127.0.0.1', port, headers: { host }, agent, timeout: GIVE_UP_MS }
    const fail = (error: NodeJS.ErrnoException) => finish(null, error.code ?? error.message)
    const asked = request(options, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece: string) => (text += piece))
      answer.on('error', fail)
      answer.on('end', () => {
        if (answer.statusCode === 200) finish(text, null)
        else finish(null, `status ${answer.statusCode}`)
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${GIVE_UP_MS} ms`)))
    asked.on('error', fail).end()
  })
}
