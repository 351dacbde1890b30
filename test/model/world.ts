import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DataSource } from 'typeorm'
import { createDataSource, openDatabase } from '../../src/database.js'
import { Disposal } from '../../src/disposal.js'
import { Commands } from '../../src/engine/commands.js'
import { createId } from '../../src/engine/names.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { type Topic, Wakeups } from '../../src/engine/wakeups/wakeups.js'
import type { Logger } from '../../src/logger.js'
import { createTestDatabase } from '../support/database.js'
import { COMMAND_SETTINGS } from '../support/engine.js'
import { FakeDocker } from '../support/fake-docker/fake-docker.js'
import type { Gate } from '../support/fake-docker/faults.js'
import { Audit } from './audit.js'
import { Foreigners } from './foreigners.js'
import { Invariants } from './invariants.js'
import { MemoryGit } from './memory-git.js'
import { Patience, type ProcessKind, SimProcess, type Surroundings } from './sim-process.js'
import { Activity } from '../support/wire.js'

/** Engines first, then keepers: the place of a process in the list says what it is. */
export const KINDS: readonly ProcessKind[] = ['engine', 'engine', 'keeper', 'keeper']
export const APPS = 2

export interface ModelApp {
  readonly id: string
  readonly name: string
  readonly stageId: string
  readonly repoUrl: string
}

/** Wake-ups do not travel: a process acts when a command says so. Only a deletion hears that its app is gone. */
class NoWakeups extends Wakeups {
  readonly #gone = new Set<(id: string) => void>()

  override on(topic: Topic, listener: (id: string) => void): () => void {
    if (topic === 'app') this.#gone.add(listener)
    return () => this.#gone.delete(listener)
  }

  protected override notify(topic: Topic, id: string): void {
    if (topic === 'app') for (const listener of [...this.#gone]) listener(id)
  }
}

/** A database, a Docker engine, remote repositories and the processes that work on them. */
export class World implements AsyncDisposable {
  readonly processes: SimProcess[] = []
  readonly apps: ModelApp[] = []
  readonly gates = new Map<string, Gate>()
  /** Commands that go on while others run. */
  readonly background = new Map<Promise<unknown>, string>()
  /** What the processes said in this run, for whoever reads a counterexample. */
  readonly journal: string[] = []
  readonly invariants: Invariants
  readonly foreigners: Foreigners
  readonly commands: Commands
  #started = 0
  #runs = 0

  private constructor(
    readonly surroundings: Surroundings,
    readonly database: DataSource,
    private readonly audit: Audit,
    private readonly opened: Disposal,
  ) {
    const { docker, secrets, wakeups } = surroundings
    this.invariants = new Invariants(database, docker)
    this.foreigners = new Foreigners(docker)
    this.commands = new Commands({ database, wakeups, secrets, settings: COMMAND_SETTINGS })
  }

  static async open(): Promise<World> {
    const opened = new Disposal()
    const { url: databaseUrl } = opened.use(await createTestDatabase())
    await (await openDatabase(databaseUrl)).destroy()
    const database = await createDataSource(databaseUrl).setOptions({ applicationName: 'world' }).initialize()
    opened.defer(() => database.destroy())
    await fast(database)
    const docker = opened.use(await FakeDocker.start())
    const folder = mkdtempSync(join(tmpdir(), 'longshore-model-'))
    opened.defer(() => rmSync(folder, { recursive: true, force: true }))
    const activity = new Activity()
    const world: World = new World(
      {
        databaseUrl,
        docker,
        folder,
        activity,
        patience: new Patience(),
        git: new MemoryGit(activity),
        wakeups: new NoWakeups(databaseUrl, SILENT),
        secrets: new SecretBox(randomBytes(32)),
        instanceId: createId(),
        logger: (id) => world.#loggerOf(id),
      },
      database,
      await Audit.install(database),
      opened,
    )
    return world
  }

  /** Everything of the last run is gone; processes that live are kept. */
  async begin(): Promise<void> {
    const { docker, git, patience } = this.surroundings
    patience.isShort = true
    this.journal.length = 0
    this.#runs++
    await this.database.query('DELETE FROM app')
    await this.audit.clear()
    this.invariants.clear()
    git.clear()
    await this.foreigners.restore()
    this.gates.clear()
    this.apps.length = 0
    for (let index = 0; index < APPS; index++) this.apps.push(await this.#createApp(index))
    for (const index of KINDS.keys()) await this.restart(index)
    // It remembers all that ever happened; a test of hours must not.
    for (const history of [docker.calls, docker.events]) (history as unknown[]).length = 0
  }

  async restart(index: number): Promise<void> {
    const kind = KINDS[index]
    if (!kind || (this.processes[index] && this.processes[index].state !== 'dead')) return
    this.processes[index] = await SimProcess.start(`${kind}-${++this.#started}`, kind, this.surroundings)
  }

  /** After a failure nobody knows what the processes are at: others take their places. */
  async replace(): Promise<void> {
    const { docker, git } = this.surroundings
    docker.heal()
    await docker.up()
    git.heal()
    this.gates.clear()
    for (const process of this.processes)
      if (process.state !== 'dead') this.inBackground('crash', process.crash())
  }

  /** Lets something go on beside the commands to come; how it ends is no matter. */
  inBackground(title: string, work: Promise<unknown>): void {
    const ended = work
      .catch((error: unknown) => this.journal.push(`world: ${title}: ${String(error)}`))
      .finally(() => this.background.delete(ended))
    this.background.set(ended, title)
  }

  /** Waits until nothing has moved for a moment, but not for ever. */
  async quiet(mostMs = 300): Promise<void> {
    const until = performance.now() + mostMs
    for (let still = 0; still < 3 && performance.now() < until;) {
      const before = this.surroundings.activity.count
      await sleep(2)
      still = this.surroundings.activity.count === before ? still + 1 : 0
    }
  }

  async check(): Promise<void> {
    await this.audit.check()
    await this.invariants.check()
    this.foreigners.check()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.processes) await process[Symbol.asyncDispose]()
    await Promise.all(this.background.keys())
    await this.opened[Symbol.asyncDispose]()
  }

  async #createApp(index: number): Promise<ModelApp> {
    const name = `app-${this.#runs}-${index}`
    const repoUrl = `https://git.invalid/${name}`
    const { id } = await this.commands.apps.create({ name, repoUrl, deploy: false })
    // No probation: a run has no time for it.
    const sql = `UPDATE stage SET health_stable_seconds = 0, health_deadline_seconds = 2, health_timeout_seconds = 1
                  WHERE app_id = $1 RETURNING id`
    const [rows] = await this.database.query<[{ id: string }[], number]>(sql, [id])
    return { id, name, repoUrl, stageId: rows[0]?.id ?? '' }
  }

  #loggerOf(id: string): Logger {
    const write = (message: string, fields: object = {}) => {
      const values = Object.entries(fields).map(([name, value]) => ` ${name}=${String(value)}`)
      if (this.processes.some((process) => process.id === id))
        this.journal.push(`${id}: ${message}${values.join('')}`)
    }
    return { debug: write, info: write, warn: write, error: write }
  }
}

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

/** Nothing here is to survive a loss of power. */
async function fast(database: DataSource): Promise<void> {
  await database.query(
    `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`,
  )
}
