import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestRepository } from '../test/support/repository.js'
import { createRepository, type Size, unique } from './apps.js'
import { Baselines } from './baselines.js'
import { Longshore, PHASES } from './longshore.js'
import {
  atMost,
  hasBuildx,
  median,
  ms,
  printTable,
  ratios,
  ratioText,
  rotated,
  rounds,
  say,
  spread,
} from './report.js'

const REST_MS = 300
const OURS = 'Longshore'
const PARTS = ['request', ...PHASES, 'answer'] as const

type Parts = Readonly<Partial<Record<(typeof PARTS)[number], number>>>

/** A way to deploy; each gives the milliseconds of its parts. */
interface Variant {
  readonly name: string
  first(app: BenchApp): Promise<Parts>
  again(app: BenchApp): Promise<Parts>
}

/** One variant's app in one round: its own repository, so that nobody finds another's layers in the cache. */
interface BenchApp {
  readonly name: string
  readonly repository: TestRepository
  page: string
}

interface Scenario {
  readonly title: string
  readonly size: Size
  readonly step: 'first' | 'again'
  /** The most of the command line's time that we may take. */
  readonly goal: number
}

const SCENARIOS: readonly Scenario[] = [
  { title: 'small app, first', size: 'small', step: 'first', goal: 0.7 },
  { title: 'small app, redeploy', size: 'small', step: 'again', goal: 0.9 },
  { title: '2,000 files, first', size: 'large', step: 'first', goal: 0.45 },
  { title: '2,000 files, redeploy', size: 'large', step: 'again', goal: 0.2 },
]

/** From the request to the first answer 200 with the right page, against what a shell script would do. */
export async function run(count: number): Promise<void> {
  using baselines = new Baselines()
  await using longshore = await Longshore.create()
  await longshore.start()
  const measured = new Map<string, Parts[]>()
  const variants = [...commandLines(baselines), fairer(baselines), ours(longshore)]
  for (const round of rounds(count)) {
    for (const size of ['small', 'large'] as const) {
      const apps = new Map(variants.map((variant) => [variant, createBenchApp(size)]))
      try {
        for (const scenario of SCENARIOS.filter((one) => one.size === size)) {
          for (const variant of rotated(variants, round)) {
            const parts = await measure(variant, scenario.step, apps.get(variant) ?? createBenchApp(size))
            const key = `${scenario.title}/${variant.name}`
            measured.set(key, [...(measured.get(key) ?? []), parts])
          }
        }
      } finally {
        for (const { repository } of apps.values()) repository[Symbol.dispose]()
      }
      await longshore.deleteApps()
      baselines.clear()
    }
    say(`  round ${round + 1} of ${count} done`)
  }
  const names = variants.map((variant) => variant.name)
  printTimes(names, measured, count)
  printParts(names, measured)
}

function createBenchApp(size: Size): BenchApp {
  const page = unique()
  return { name: unique(), repository: createRepository(size, page), page }
}

async function measure(variant: Variant, step: 'first' | 'again', app: BenchApp): Promise<Parts> {
  if (step === 'again') {
    app.page = unique()
    app.repository.commit({ 'www/index.html': app.page })
  }
  execFileSync('sync') // nobody pays for what another one wrote
  await sleep(REST_MS)
  return variant[step](app)
}

function ours(longshore: Longshore): Variant {
  return {
    name: OURS,
    first: ({ name, repository, page }) => longshore.first(name, repository.url, page),
    again: ({ name, page }) => longshore.again(name, page),
  }
}

function commandLines(baselines: Baselines): Variant[] {
  const classic = { DOCKER_BUILDKIT: '0' }
  const deployer = (name: string, env: NodeJS.ProcessEnv) => {
    const deploy = ({ repository, page }: BenchApp) => baselines.commandLine(repository.url, page, env)
    return { name, first: deploy, again: deploy }
  }
  if (hasBuildx()) {
    say('docker build: BuildKit by buildx, and the classic builder (DOCKER_BUILDKIT=0)')
    return [deployer('CLI buildx', {}), deployer('CLI classic', classic)]
  }
  say('docker build: the classic builder, the default of this client: `docker buildx version` fails')
  return [deployer('CLI classic', {})]
}

function fairer(baselines: Baselines): Variant {
  const deploy = ({ repository, page }: BenchApp) => baselines.checkout(repository.url, page)
  return { name: 'API BuildKit', first: deploy, again: deploy }
}

type Measured = ReadonlyMap<string, readonly Parts[]>

function printTimes(names: readonly string[], measured: Measured, count: number): void {
  const rows = SCENARIOS.map(({ title, goal }) => {
    const of = (name: string) => (measured.get(`${title}/${name}`) ?? []).map(total)
    const toOthers = names.slice(0, -1).map((name) => ratios(of(OURS), of(name)))
    return [
      title,
      ...names.map((name) => spread(of(name), ms)),
      ...toOthers.map((values) => spread(values, ratioText)),
      atMost(goal, median(toOthers[0] ?? [])),
    ]
  })
  const header = ['', ...names, ...names.slice(0, -1).map((name) => `ratio to ${name}`), 'goal (first ratio)']
  printTable(`Deployment until the page answers, ms: median (least–most) of ${count} rounds`, header, rows)
}

function total(parts: Parts): number {
  return Object.values(parts).reduce((sum, part) => sum + part, 0)
}

/** Ours: from the deployment's events. `start` of the others goes on until the page answers. */
function printParts(names: readonly string[], measured: Measured): void {
  const rows = SCENARIOS.flatMap(({ title }) =>
    names.map((name) => {
      const all = measured.get(`${title}/${name}`) ?? []
      return [`${title}, ${name}`, ...PARTS.map((part) => text(all.flatMap((parts) => parts[part] ?? [])))]
    }),
  )
  printTable('Where it is spent, ms, medians', ['', ...PARTS], rows)
}

function text(values: readonly number[]): string {
  return values.length === 0 ? '' : ms(median(values))
}
