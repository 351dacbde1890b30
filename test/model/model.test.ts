import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { comeToRest } from './quiescence.js'
import { carryOut } from './carry-out.js'
import { anyStep, type Step } from './steps.js'
import { World } from './world.js'

const RUNS = Number(process.env.RUNS ?? 300)
const MOST_COMMANDS = 15
/** A counterexample is made smaller for so long; past it the smallest found so far is told. */
const MOST_MS = process.env.RUNS ? 2 ** 30 : 200_000
const SHOWN_LINES = 60

/** To see a failure again: SEED, FC_PATH and REPLAY (the replayPath) of its report. */
const { SEED, FC_PATH, REPLAY } = process.env

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

/** A stage that serves is more interesting than one that never did, and dear to make by chance. */
async function prepare(world: World): Promise<void> {
  await new Do({ do: 'deploy', app: 0, commit: 'good' }).run({}, world)
  await new Do({ do: 'claim', process: 0 }).run({}, world)
}

describe('whatever happens, in whatever order', () => {
  let world: World
  before(async () => {
    world = await World.open()
  })
  after(() => world[Symbol.asyncDispose]())

  test(`the promises hold (${RUNS} runs)`, async () => {
    const startedAt = Date.now()
    let runs = 0
    const replay = REPLAY ? { replayPath: REPLAY } : {}
    const steps = fc.commands([anyStep.map((step) => new Do(step))], {
      maxCommands: MOST_COMMANDS,
      size: 'max',
      ...replay,
    })
    const property = fc.asyncProperty(steps, fc.boolean(), async (commands, serves) => {
      await world.begin()
      try {
        if (serves) await prepare(world)
        await fc.asyncModelRun(() => ({ model: {}, real: world }), commands)
        world.journal.push('--- and then all comes to rest')
        await comeToRest(world)
      } catch (error) {
        const said = world.journal.slice(-SHOWN_LINES).join('\n')
        await world.replace()
        throw new Error(`${(error as Error).message}\n${said}`, { cause: error })
      }
      if (++runs % 500 === 0)
        process.stderr.write(`${runs} runs in ${Math.round((Date.now() - startedAt) / 1000)} s\n`)
    })
    await fc.assert(property, {
      numRuns: RUNS,
      interruptAfterTimeLimit: MOST_MS,
      markInterruptAsFailure: true,
      verbose: 0,
      ...(SEED ? { seed: Number(SEED) } : {}),
      ...(FC_PATH ? { path: FC_PATH } : {}),
    })
  })
})
