import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { comeToRest } from './quiescence.js'
import { carryOut } from './carry-out.js'
import { anyStep, HELD, type Step } from './steps.js'
import { World } from './world.js'

/** To see a failure again: SEED, FC_PATH and REPLAY (the replayPath) of its report. */
const { SEED, FC_PATH, REPLAY } = process.env
/** Other ones each time; `npm run test:soak` does 20,000. */
const RUNS = Number(process.env.RUNS || 48)
/** Each with a database and a Docker engine of its own: a run waits more than it works. */
const LANES = SEED ? 1 : 4
const FIRST_SEED = SEED ? Number(SEED) : randomInt(2 ** 31 - LANES)
const MOST_COMMANDS = 12
/** After this no run begins any more; what was left out is said, and a counterexample is not made smaller any more. */
const MOST_MS = Number(process.env.MOST_SECONDS ?? 200) * 1000
const RUN_MS = 150_000
const TOLD_EVERY = 500
const SHOWN_LINES = 60

/** What is known of the world without looking: nothing. Each step looks for what it needs. */
type Nothing = Record<string, never>

class Do implements fc.AsyncCommand<Nothing, World> {
  constructor(readonly step: Step) {}

  check(): boolean {
    return true
  }

  async run(_model: Nothing, world: World): Promise<void> {
    world.journal.push(`--- ${this.toString()}`)
    await carryOut(this.step, world)
    await world.quiet()
    await world.check()
  }

  toString(): string {
    return JSON.stringify(this.step)
  }
}

interface Beginning {
  readonly serves: boolean
  /** Where a deployment has got to and is held; null: there is none. */
  readonly held: (typeof HELD)[number] | null
}

/** What is dear to make by chance and interesting to begin with: a stage that serves, a deployment under way. */
async function prepare({ serves, held }: Beginning, world: World): Promise<void> {
  const begin = async (process: number) => {
    await new Do({ do: 'deploy', app: 0, commit: 'good' }).run({}, world)
    await new Do({ do: 'claim', process }).run({}, world)
  }
  if (serves) await begin(0)
  if (held === null) return
  await new Do({ do: 'hold', at: held }).run({}, world)
  await begin(1)
}

/** A run that hangs is a failure, too. */
async function bounded(world: World, work: () => Promise<void>): Promise<void> {
  const timer = new AbortController()
  const late = sleep(RUN_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`the run hangs; going on: ${[...world.background.values()].join(', ')}`)
  })
  late.catch(() => undefined)
  await Promise.race([work(), late]).finally(() => timer.abort())
}

describe('whatever happens, in whatever order', { concurrency: LANES }, () => {
  for (let lane = 1; lane <= LANES; lane++) {
    const seed = FIRST_SEED + lane - 1
    test(`the promises hold (${RUNS} runs, lane ${lane} of ${LANES}, SEED=${seed})`, async () => {
      await using world = await World.open()
      await holds(world, seed, Math.ceil(RUNS / LANES))
    })
  }
})

/** @throws Error with the seed, the path and the smallest counterexample */
async function holds(world: World, seed: number, numRuns: number): Promise<void> {
  const until = performance.now() + MOST_MS
  const late = { runs: 0, isLate: () => performance.now() > until }
  const found: string[] = []
  const details = await fc.check(propertyOf(world, found, late), {
    numRuns,
    seed,
    ...(FC_PATH ? { path: FC_PATH } : {}),
  })
  if (details.failed) {
    const report = `${fc.defaultReportMessage(details)}\n\n${found.at(-1)}`
    tell(report) // the runner shows it when the last lane has ended, which can be an hour later
    throw new Error(report)
  }
  assert.equal(late.runs, 0, `only ${numRuns - late.runs} of ${numRuns} runs in ${MOST_MS / 1000} s`)
}

/** `late`: runs past their time do nothing. Not fast-check's own limit: it leaves the run under way to itself. */
function propertyOf(world: World, found: string[], late: { runs: number; isLate: () => boolean }) {
  const steps = fc.commands([anyStep.map((step) => new Do(step))], {
    maxCommands: MOST_COMMANDS,
    size: 'max',
    ...(REPLAY ? { replayPath: REPLAY } : {}),
  })
  const held = fc.option(fc.constantFrom(...HELD), { freq: 2 })
  const beginning = fc.record({ serves: fc.boolean(), held })
  return fc.asyncProperty(steps, beginning, async (commands, begun) => {
    if (late.isLate()) return void late.runs++
    await world.begin()
    try {
      await bounded(world, async () => {
        await prepare(begun, world)
        await fc.asyncModelRun(() => ({ model: {}, real: world }), commands)
        world.journal.push('--- and then all comes to rest')
        await comeToRest(world)
      })
    } catch (error) {
      // The database's errors say nothing of their statement by themselves.
      const { message, query = '' } = error as Error & { query?: string }
      found.push([message, query, ...world.journal.slice(-SHOWN_LINES)].filter(Boolean).join('\n'))
      tell(`failed, looking for a smaller one: ${message.split('\n')[0]}`)
      await world.replace()
      throw error
    }
    if (++runs % TOLD_EVERY === 0) tell(`${runs} runs`)
  })
}

let runs = 0
const startedAt = Date.now()

function tell(what: string): void {
  process.stderr.write(`${Math.round((Date.now() - startedAt) / 1000)} s: ${what}\n`)
}
