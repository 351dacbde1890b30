import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Answer, LoadOrder, LoadReport } from './load-process.js'
import { BASE_IMAGE } from './repository.js'

const PROCESS = new URL('./load-process.js', import.meta.url)

/**
 * Sends load from a process of its own, so that nothing here makes it late: for the seconds of the order, or until `during`
 * has resolved if that takes longer. Gives what came back and what `during` gave; rejects as soon as that does.
 */
export async function sendLoad<T>(order: LoadOrder, during: Promise<T>): Promise<[LoadReport, T]> {
  const child = fork(PROCESS, [JSON.stringify(order)], { serialization: 'advanced' })
  const reported = Promise.race([
    once(child, 'message') as Promise<[LoadReport]>,
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the load process ended with ${code}`))),
  ])
  const told = during.then((result) => {
    child.send('enough')
    return result
  })
  try {
    const [[report], result] = await Promise.all([reported, told])
    return [report, result]
  } finally {
    child.kill()
  }
}

/** A time in which a page may be answered. */
interface Stretch {
  readonly page: string
  readonly from: number
  until: number
}

/** When which version may have been answered, and with it which answers were wrong. */
export class Timeline {
  readonly #stretches: Stretch[] = []

  /** From now on `page` may be answered beside the one before it, as a switch to it has been asked for. */
  mayBegin(page: string): void {
    this.#stretches.push({ page, from: now(), until: Number.POSITIVE_INFINITY })
  }

  /** A request that is sent from now on must not be answered by what served before `page`. */
  confirmed(page: string): void {
    const at = this.#stretches.findLastIndex((stretch) => stretch.page === page)
    for (const stretch of this.#stretches.slice(0, at)) stretch.until = Math.min(stretch.until, now())
  }

  /** The version whose time had begun last at a moment, with the seconds since. */
  lastBefore(at: number): string {
    const last = this.#stretches.findLast(({ from }) => from <= at)
    return last ? `${last.page}, begun ${((at - last.from) / 1000).toFixed(2)} s before` : 'none'
  }

  /** Answers that were whole, but of a version that was not to be answered then. */
  wrong(answers: readonly Answer[]): Answer[] {
    return answers.filter((answer) => answer.page !== null && !this.#allows(answer))
  }

  #allows({ page, sentAt, endedAt }: Answer): boolean {
    return this.#stretches.some((one) => one.page === page && one.from <= endedAt && sentAt <= one.until)
  }
}

/** Same clock as the load process. */
function now(): number {
  return performance.timeOrigin + performance.now()
}

/** What failed, and how often. */
export function failuresOf({ answers }: LoadReport): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { failure, keptAlive } of answers) {
    if (failure === null) continue
    const words = `${failure} on a ${keptAlive ? 'kept' : 'fresh'} connection`
    counts.set(words, (counts.get(words) ?? 0) + 1)
  }
  return counts
}

/** One line: what came back, how fast, and what went wrong. */
export function summarise({ answers, sockets }: LoadReport, wrong: number): string {
  const failed = answers.filter(({ failure }) => failure !== null).length
  const times = answers.map(({ sentAt, endedAt }) => endedAt - sentAt).sort((a, b) => a - b)
  const at = (part: number) => `${(times[Math.floor((times.length - 1) * part)] ?? Number.NaN).toFixed(1)} ms`
  return (
    `${answers.length} requests, p50 ${at(0.5)}, p99 ${at(0.99)}, slowest ${at(1)}; ${failed} failed, ` +
    `${wrong} of a wrong version; WebSocket messages ${sockets.echoed} of ${sockets.sent} echoed, ` +
    `${sockets.failures.length} connections broken`
  )
}

/**
 * A web app that needs a moment to start, as real ones do. Its page is its version; GET /health is well until
 * somebody removes the file. Its server keeps connections: busybox' forks for each request, which takes the machine
 * more time than the router does.
 */
export function versioned(version: string, begin = 'busybox sleep 0.5'): Record<string, string> {
  const serve = 'exec /esbuild --servedir=/www --serve=0.0.0.0:8080 --watch=forever --log-level=silent'
  return {
    'www/index.html': version,
    'www/health': 'well',
    Dockerfile: [
      `FROM ${BASE_IMAGE}`,
      'COPY --from=longshore/static:local /esbuild /esbuild',
      'COPY www /www',
      'EXPOSE 8080',
      `CMD ${JSON.stringify(['/bin/sh', '-c', `${begin}; ${serve}`])}`,
      '',
    ].join('\n'),
  }
}

/** For each connection: an HTTP request is answered; a WebSocket's handshake too, then frames of four letters. */
const ECHO = `read -r first
key=
while read -r line; do
  line=$(busybox echo "$line" | busybox tr -d '\\r')
  [ -z "$line" ] && break
  case "$line" in [Ss]ec-[Ww]eb[Ss]ocket-[Kk]ey:*) key=\${line#*: };; esac
done
if [ -z "$key" ]; then printf 'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\nConnection: close\\r\\n\\r\\necho'; exit; fi
accept=$(printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' "$key" | busybox sha1sum | busybox cut -c1-40 |
  busybox xxd -r -p | busybox base64)
printf 'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
printf 'Sec-WebSocket-Accept: %s\\r\\n\\r\\n' "$accept"
while frame=$(busybox dd bs=1 count=10 2>/dev/null | busybox xxd -p) && [ \${#frame} = 20 ]; do
  busybox echo "8104\${frame#818400000000}" | busybox xxd -r -p
done
`

/** An app that echoes WebSocket messages of exactly four letters that are masked with zeros. */
export function echoApp(): Record<string, string> {
  const command = JSON.stringify(['/bin/busybox', 'nc', '-ll', '-p', '8080', '-e', '/bin/sh', '/echo.sh'])
  return {
    'echo.sh': ECHO,
    Dockerfile: `FROM ${BASE_IMAGE}\nCOPY echo.sh /echo.sh\nEXPOSE 8080\nCMD ${command}\n`,
  }
}
