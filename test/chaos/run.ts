import { once } from 'node:events'
import { Installation, until } from '../support/server.js'
import { onDatabase } from '../support/tables.js'
import { Apps } from './apps.js'
import { installAudit, readChanges, readGiveBacks, readSwitches } from './audit.js'
import { judgeAnswers, type Judgement } from './judge-answers.js'
import { countEnds, type History, historiesOf, judgeEnds, judgeGiveBacks } from './judge-ends.js'
import { Processes } from './processes.js'
import { checkHistories, checkNothingLeft, checkRest, checkViewers, settled } from './promises.js'
import { Random } from './random.js'
import { listed, type Result, say } from './report.js'
import { disturb, pause } from './schedule.js'
import { Users } from './users.js'
import { Viewers } from './viewers.js'
import { Visitors } from './visitors.js'

const STEADY = 3
const OPERATION_MS = 1_000
const REPORT_MS = 10_000
const VISIT_MS = { steady: 80, churning: 400 }

/** One run: its installation, who works on it, and what was seen to be broken. */
export class Run implements AsyncDisposable {
  readonly #broken: Set<string>
  readonly #startedAt = performance.now()
  readonly #apps: Apps
  readonly #viewers: Viewers
  readonly #visitors: Visitors
  readonly #users: Users
  #requests: Judgement = { sent: 0, excused: 0, failed: 0, wrong: 0, broken: [] }
  #histories: History[] = []
  #isOver = false

  private constructor(
    private readonly installation: Installation,
    private readonly processes: Processes,
    private readonly options: { readonly seed: number; readonly minutes: number },
    broken: Set<string>,
  ) {
    this.#broken = broken
    const { url } = installation.database
    const { routerPort } = installation
    this.#apps = new Apps(url, processes)
    this.#viewers = new Viewers(processes)
    this.#visitors = new Visitors(routerPort)
    this.#users = new Users({
      ...{ url, processes, routerPort, apps: this.#apps, viewers: this.#viewers },
      random: new Random(options.seed, 'operations'),
      broken: (promise) => this.#break([promise]),
    })
  }

  static async open(options: { readonly seed: number; readonly minutes: number }): Promise<Run> {
    const installation = await Installation.create()
    try {
      await installAudit(installation.database.url)
      const broken = new Set<string>()
      const processes = await Processes.start(installation, (promise) => {
        say(`BROKEN: ${promise}`)
        broken.add(promise)
      })
      return new Run(installation, processes, options, broken)
    } catch (error) {
      await installation[Symbol.asyncDispose]()
      throw error
    }
  }

  /** All of it; what is broken is in the result. Rejects when `signal` aborts. */
  async carryOut(signal: AbortSignal): Promise<Result> {
    const reporting = new AbortController()
    const reports = this.#report(reporting.signal)
    const interrupt = once(signal, 'abort').then(() => signal.throwIfAborted())
    try {
      await Promise.race([this.#goThrough(signal), interrupt])
    } catch (error) {
      signal.throwIfAborted()
      this.#break([error instanceof Error ? (error.stack ?? error.message) : String(error)])
    } finally {
      reporting.abort()
      await reports
    }
    return this.#result()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    this.processes.close()
    await this.#visitors.leaveAll()
    await this.installation[Symbol.asyncDispose]()
    await this.#viewers.leave()
    this.#apps[Symbol.dispose]()
  }

  async #goThrough(signal: AbortSignal): Promise<void> {
    await this.#begin()
    await this.#disturb(signal)
    signal.throwIfAborted()
    await this.#users.quiet()
    say('kills and operations are over: waiting until all has come to rest')
    await this.#rest()
  }

  /** Apps that serve all the while, from a first version on. */
  async #begin(): Promise<void> {
    for (let number = 1; number <= STEADY; number++) {
      const app = await this.#apps.create(`steady-${number}`, true)
      await this.#users.deploy(app, 'good')
      await until(async () => (await this.installation.fetch(app.host)).status === 200)
      this.#visitors.visit(app.host, VISIT_MS.steady)
    }
    await settled(this.installation.database.url)
  }

  async #disturb(signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const end = () => over.abort()
    const timer = setTimeout(end, this.options.minutes * 60_000)
    signal.addEventListener('abort', end)
    await Promise.all([disturb(this.processes, this.options, over.signal), this.#use(over.signal)])
    clearTimeout(timer)
  }

  async #use(over: AbortSignal): Promise<void> {
    const visited = new Set(this.#apps.all)
    while (!(await pause(OPERATION_MS, over))) {
      this.#users.begin()
      for (const app of this.#apps.all.filter((one) => !visited.has(one))) {
        visited.add(app)
        this.#visitors.visit(app.host, VISIT_MS.churning)
      }
      const gone = this.#apps.all.filter(({ deletedAt }) => deletedAt !== null)
      void Promise.all(gone.map(({ host }) => this.#visitors.leave(host)))
    }
  }

  async #rest(): Promise<void> {
    const { installation, processes } = this
    const { url } = installation.database
    await this.#hold(() => settled(url))
    say('settled: restarting both processes')
    // What nobody needs is looked for at a start, too.
    for (const slot of processes.slots) await processes.restart(slot)
    await this.#visitors.leaveAll()
    this.#break(await checkHistories(url))
    await this.#judge(url)
    await this.#hold(() => checkRest(installation, this.#apps))
    await this.#viewers.leave()
    this.#break(await checkViewers(url, this.#viewers))
    say('deleting all apps')
    const left = await onDatabase(url, 'SELECT id FROM app')
    const all = this.#apps.all.filter(({ id }) => left.some((row) => row.id === id))
    await Promise.all(all.map((app) => this.#users.delete(app)))
    await this.#hold(() => checkNothingLeft(installation))
  }

  async #hold(check: () => Promise<void>): Promise<void> {
    await check().catch((error: unknown) => this.#break([(error as Error).message]))
  }

  async #judge(url: string): Promise<void> {
    const changes = await readChanges(url)
    this.#histories = historiesOf(changes, this.#apps)
    this.#break(judgeEnds(this.#histories, this.processes))
    this.#break(judgeGiveBacks(await readGiveBacks(url), this.#histories, this.processes))
    const told = { apps: this.#apps, switches: await readSwitches(url), histories: this.#histories }
    this.#requests = judgeAnswers(this.#visitors.answers, told, this.processes)
    this.#break(this.#requests.broken)
    const known = new Set(this.#histories.map(({ id }) => id))
    const lost = [...this.#users.answered].filter((id) => !known.has(id))
    this.#break(lost.map((id) => `${id} was answered and is not there`))
  }

  async #report(signal: AbortSignal): Promise<void> {
    while (!(await pause(REPORT_MS, signal))) {
      const { url } = this.installation.database
      this.processes.lookAtMemory()
      this.#break(await checkHistories(url))
      const sql =
        'SELECT coalesce(shown_as, status) AS status, count(*)::int AS count FROM deployment GROUP BY 1'
      const rows = await onDatabase(url, sql)
      const counts = new Map(rows.map(({ status, count }) => [String(status), Number(count)]))
      const failures = this.#visitors.answers.filter(({ failure }) => failure !== null).length
      say(
        `[${String(Math.round((performance.now() - this.#startedAt) / 1000)).padStart(3)} s] ` +
          `${this.processes.kills} kills, deployments of ${this.#apps.living.length} apps: ${listed(counts)}; ` +
          `${this.#visitors.answers.length} requests, ${failures} not answered; up: ` +
          `${this.processes.up.map(({ name }) => name).join(' and ') || 'none'}; ${this.#broken.size} broken`,
      )
    }
  }

  #break(promises: readonly string[]): void {
    // What is cut off fails.
    if (this.#isOver) return
    for (const promise of promises) {
      if (!this.#broken.has(promise)) say(`BROKEN: ${promise}`)
      this.#broken.add(promise)
    }
  }

  #result(): Result {
    const views = { logs: this.#viewers.logs().size, reconnects: this.#viewers.reconnects }
    const ends = countEnds(this.#histories)
    const { processes } = this
    const requests = this.#requests
    return {
      ...this.options,
      operations: this.#users.counts,
      ends,
      requests,
      processes,
      views,
      broken: this.#broken,
    }
  }
}
