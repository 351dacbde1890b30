import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PROCESS = fileURLToPath(new URL('./starved-process.js', import.meta.url))
/** Enough for a process with a database and a few connections, and soon used up. */
const OPEN_FILES = 160
const MOST_MS = 120_000

/** What a scenario of starved-process.ts gives, in a process that may open few files. */
export async function runStarved(scenario: string, ...args: readonly string[]): Promise<unknown> {
  const limited = [
    '-c',
    `ulimit -n ${OPEN_FILES} && exec "$0" "$@"`,
    process.execPath,
    PROCESS,
    scenario,
    ...args,
  ]
  const child = spawn('/bin/sh', limited, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    timeout: MOST_MS,
  })
  const ended = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`${scenario} ended with ${code}`)),
  )
  try {
    const [found] = (await Promise.race([once(child, 'message'), ended])) as [{ result: unknown }]
    return found.result
  } finally {
    ended.catch(() => undefined)
    child.kill('SIGKILL')
  }
}

/** Opens all files that this process may, and those that become free; returns what closes them. */
export function starve(): () => void {
  const open: number[] = []
  const fill = () => {
    try {
      for (;;) open.push(openSync('/dev/null', 'r'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
    }
  }
  fill()
  const filling = setInterval(fill, 1)
  return () => {
    clearInterval(filling)
    for (const file of open) closeSync(file)
  }
}
