import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

/** 20,000 lines a second for 5 s must stay below what a log keeps before it withholds the rest to its end: 8 MiB. */
const PADDING = 'x'.repeat(60)

/** Milliseconds of the clock that all processes of the machine share. */
export function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}

/** When the lines of a text were written, in milliseconds of {@link monotonic}; other lines are left out. */
export function* writtenAt(text: string): Generator<number> {
  for (const line of text.split('\n'))
    if (line.startsWith('@')) yield Number(line.slice(1, line.indexOf(' ')))
}

/** Writes `rate` lines of 75 bytes a second, each with its time, as a build that prints them would. */
async function write(rate: number, seconds: number): Promise<void> {
  const startedAt = performance.now()
  for (let written = 0; written < rate * seconds;) {
    const due = Math.min(Math.floor(((performance.now() - startedAt) / 1000) * rate), rate * seconds)
    let text = ''
    for (; written < due; written++) text += `@${monotonic().toFixed(3)} ${PADDING}\n`
    if (text !== '') process.stdout.write(text)
    await sleep(1)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await write(Number(process.argv[2]), Number(process.argv[3]))
}
