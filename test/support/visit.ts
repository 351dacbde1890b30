import { setTimeout as sleep } from 'node:timers/promises'
import { fetchHost } from './server.js'

const EVERY_MS = 50

/** What somebody has seen who asks for a page all the time. Disposing ends it. */
export interface Visit extends AsyncDisposable {
  /** Answers that were no page. */
  readonly failures: readonly string[]
  /** In the order in which they were first seen. */
  readonly pages: ReadonlySet<string>
}

/** Asks a host through the router at `port`. */
export function visit(port: number, host: string): Visit {
  const failures: string[] = []
  const pages = new Set<string>()
  let over = false
  const visiting = (async () => {
    for (; !over; await sleep(EVERY_MS)) {
      const answer = await fetchHost(port, host).catch((error: unknown) => error as Error)
      if (answer instanceof Error) failures.push(answer.message)
      else if (answer.status === 200) pages.add(answer.body)
      else failures.push(`${answer.status} ${answer.body.slice(0, 100)}`)
    }
  })()
  return {
    ...{ failures, pages },
    async [Symbol.asyncDispose]() {
      over = true
      await visiting
    },
  }
}
