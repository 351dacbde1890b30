import { setTimeout as sleep } from 'node:timers/promises'
import { tryGraphql } from '../support/client.js'
import { onDatabase } from '../support/tables.js'
import type { Apps, ChaosApp } from './apps.js'
import { now, type Processes, type Slot } from './processes.js'
import type { Random } from './random.js'
import { askGreedily, crowd, GREEDY } from './strangers.js'
import { KINDS, type KindName } from './versions.js'
import type { Viewers } from './viewers.js'

const CHURNING = 4
const GIVE_UP_MS = 60_000
/** The end of a process is heard of later than that of its connections. */
const HEARD_MS = 1_000
/** One of so many deployments is looked at by a viewer. */
const VIEWED = 4

const OPERATIONS = {
  deploy: 50,
  cancel: 12,
  rollback: 8,
  restart: 5,
  stop: 6,
  start: 6,
  delete: 5,
  'greedy query': 5,
  crowd: 3,
} as const
type Operation = keyof typeof OPERATIONS

const KIND_WEIGHTS: Readonly<Record<KindName, number>> = {
  good: 30,
  'slow to build': 12,
  'slow to start': 8,
  'becomes unhealthy': 6,
  'ends later': 6,
  'does not build': 5,
  'ends at once': 5,
  'never healthy': 3,
  'dots in a tree': 3,
  'absolute path': 3,
  'git folder': 3,
  'long link': 3,
  'slow matchers': 4,
}
/** Its requests fail when it ends, whoever routes them. */
const STEADY_WEIGHTS = { ...KIND_WEIGHTS, 'ends later': 0 }

const MUTATIONS = {
  deploy: 'mutation ($id: ID!, $ref: String) { deploy(appId: $id, input: { ref: $ref }) { id } }',
  cancel: 'mutation ($id: ID!) { cancelDeployment(id: $id) { id } }',
  rollback: 'mutation ($id: ID!) { rollback(appId: $id) { id } }',
  restart: 'mutation ($id: ID!) { restartStage(id: $id) { id } }',
  stop: 'mutation ($id: ID!) { stopStage(id: $id) { id } }',
  start: 'mutation ($id: ID!) { startStage(id: $id) { id } }',
  delete: 'mutation ($id: ID!) { deleteApp(id: $id) }',
} as const
type Mutation = keyof typeof MUTATIONS

interface Parts {
  readonly url: string
  readonly apps: Apps
  readonly processes: Processes
  readonly viewers: Viewers
  readonly random: Random
  readonly routerPort: number
  broken(promise: string): void
}

/** What users ask for, at random; and strangers beside them. */
export class Users {
  readonly counts = new Map<string, number>()
  /** Deployments that a command was answered with. */
  readonly answered = new Set<string>()
  readonly #under = new Set<Promise<void>>()
  #apps = 0
  /** Apps that are being created. */
  #creating = 0

  constructor(private readonly parts: Parts) {}

  /** Begins one operation; what it leads to goes on. */
  begin(): void {
    const { random, apps } = this.parts
    const churning = apps.living.filter(({ isSteady }) => !isSteady).length
    const operation = churning + this.#creating < CHURNING ? 'create' : random.weighted<Operation>(OPERATIONS)
    const work = this.#carryOut(operation).catch((error: unknown) => {
      this.parts.broken(`${operation}: ${error instanceof Error ? error.stack : String(error)}`)
    })
    this.#under.add(work)
    void work.finally(() => this.#under.delete(work))
  }

  /** Resolves when all that was begun has been answered. */
  async quiet(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under)
  }

  /** A deployment of a version of this kind; its id, or null: it was refused. */
  async deploy(app: ChaosApp, kind: KindName): Promise<string | null> {
    const { ref } = this.parts.apps.commit(app, kind)
    this.#count(KINDS[kind].codes.length === 0 ? 'deploy' : `deploy: ${kind}`)
    return this.#ask('deploy', { id: app.id, ref })
  }

  async delete(app: ChaosApp): Promise<void> {
    app.deletedAt = now()
    this.#count('delete')
    await this.#ask('delete', { id: app.id })
  }

  async #carryOut(operation: Operation | 'create'): Promise<void> {
    const { apps, processes, random, routerPort } = this.parts
    if (operation === 'create') return this.#create()
    if (operation === 'greedy query') return this.#askGreedily()
    if (operation === 'crowd') {
      this.#count(operation)
      return void (await crowd(random.pick([routerPort, ...processes.slots.map(({ port }) => port)])))
    }
    const isForAll = ['deploy', 'cancel', 'rollback', 'restart'].includes(operation)
    const theirs = apps.living.filter(({ isSteady }) => isForAll || !isSteady)
    // All of them are being created still.
    if (theirs.length === 0) return
    const app = random.pick(theirs)
    if (operation === 'delete') return this.delete(app)
    if (operation === 'deploy') {
      const kind = random.weighted(app.isSteady ? STEADY_WEIGHTS : KIND_WEIGHTS)
      return void (await this.deploy(app, kind))
    }
    this.#count(operation)
    if (operation === 'cancel') return this.#cancel(app)
    await this.#ask(operation, { id: operation === 'rollback' ? app.id : app.stageId })
  }

  async #create(): Promise<void> {
    this.#creating++
    this.#count('create')
    const creating = this.parts.apps.create(`churn-${++this.#apps}`, false)
    const app = await creating.finally(() => this.#creating--)
    await this.deploy(app, this.parts.random.weighted(KIND_WEIGHTS))
  }

  async #cancel(app: ChaosApp): Promise<void> {
    const sql = 'SELECT id FROM deployment WHERE app_id = $1 ORDER BY generation DESC LIMIT 1'
    const [newest] = await onDatabase(this.parts.url, sql, [app.id])
    if (newest) await this.#ask('cancel', { id: newest.id })
  }

  async #askGreedily(): Promise<void> {
    const [name, query] = this.parts.random.pick(Object.entries(GREEDY))
    this.#count(`query: ${name}`)
    const code = await this.#send((slot) => askGreedily(slot.port, query))
    if (code !== undefined && code !== 'BAD_USER_INPUT') this.parts.broken(`a query that ${name}: ${code}`)
  }

  /** Gives the id of the deployment that it was answered with, if any. */
  async #ask(mutation: Mutation, variables: object): Promise<string | null> {
    type Answer = Record<string, { id: string } | boolean>
    const answer = await this.#send((slot) => tryGraphql<Answer>(slot.port, MUTATIONS[mutation], variables))
    const code = answer?.errors?.[0]?.extensions.code
    if (code !== undefined) {
      this.#count('refused')
      if (code === 'INTERNAL_SERVER_ERROR') this.parts.broken(`${mutation}: ${answer?.errors?.[0]?.message}`)
      return null
    }
    if (!answer?.data || (mutation !== 'deploy' && mutation !== 'rollback')) return null
    const [value] = Object.values(answer.data)
    const id = typeof value === 'object' ? value.id : null
    if (id !== null) this.#deployed(id)
    return id
  }

  #deployed(id: string): void {
    this.answered.add(id)
    if (this.answered.size % VIEWED === 0) this.parts.viewers.follow(id)
  }

  /** Undefined: nobody was there, or died or stalled over it. Then it may have been carried out or not. */
  async #send<T>(send: (slot: Slot) => Promise<T>): Promise<T | undefined> {
    const { processes, random } = this.parts
    if (processes.up.length === 0) {
      this.#count('nobody there')
      return undefined
    }
    const slot = random.pick(processes.up)
    const { server } = slot
    const sentAt = now()
    const late = sleep(GIVE_UP_MS, undefined, { ref: false }).then(() =>
      Promise.reject(new Error('no answer')),
    )
    try {
      return await Promise.race([send(slot), late])
    } catch (error) {
      await sleep(HEARD_MS)
      const pid = server?.child.pid ?? 0
      const spans = processes.away.get(pid) ?? []
      this.#count('not answered')
      if (!spans.some(({ until }) => until >= sentAt))
        this.parts.broken(
          `the ${slot.name} process was up and did not answer: ${String(error)} ${String((error as Error).cause)}`,
        )
      return undefined
    }
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}
