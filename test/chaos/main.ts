import { say, sayResult } from './report.js'
import { Run } from './run.js'

const MINUTES = Number(process.env.MINUTES ?? 8)
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

async function main(): Promise<void> {
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => interrupted.abort('interrupted'))
  say(`SEED=${SEED} MINUTES=${MINUTES}`)
  await using run = await Run.open({ seed: SEED, minutes: MINUTES })
  const result = await run.carryOut(interrupted.signal)
  sayResult(result)
  if (result.broken.size > 0) process.exitCode = 1
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
})
// What was broken off may still wait for an answer.
process.exit()
