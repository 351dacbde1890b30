import { hasLabels } from './events.js'
import { ALREADY, DONE, type Engine, json, type Route, route } from './engine.js'
import type { Exchange, Reply } from './exchange.js'
import { CPUS, type FakeContainer, type Healthcheck, isRunning, newId, Refused, statusOf } from './model.js'
import { inspectContainer, summarizeContainer } from './render.js'
import { logsOf } from './logs.js'

const NAME = '([^/]+)'
const SIGNALS: Readonly<Record<string, number>> = { HUP: 1, INT: 2, QUIT: 3, KILL: 9, USR1: 10, TERM: 15 }
const POLICIES = ['', 'no', 'always', 'on-failure', 'unless-stopped']

interface CreateBody {
  readonly Image?: string
  readonly Cmd?: readonly string[] | string | null
  readonly Env?: readonly string[] | null
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly ExposedPorts?: Readonly<Record<string, unknown>> | null
  readonly Healthcheck?: Healthcheck | null
  readonly HostConfig?: {
    readonly NetworkMode?: string
    readonly RestartPolicy?: RestartPolicy
    readonly NanoCpus?: number
  } | null
}

interface RestartPolicy {
  readonly Name?: string
  readonly MaximumRetryCount?: number
}

export const CONTAINER_ROUTES: readonly Route[] = [
  route('GET', /^\/containers\/json$/, list),
  route('POST', /^\/containers\/create$/, create),
  route('GET', named('/json'), (engine, _exchange, name) => {
    const { state, runtime } = engine
    return json(inspectContainer(state.container(name), state, runtime.addresses.gateway))
  }),
  route('POST', named('/start'), async (engine, _exchange, name) => {
    return (await engine.runtime.start(engine.state.container(name))) ? DONE : ALREADY
  }),
  route('POST', named('/stop'), async (engine, exchange, name) => {
    const graceMs = exchange.number('t', 10) * 1000
    return (await engine.runtime.stop(engine.state.container(name), graceMs)) ? DONE : ALREADY
  }),
  route('POST', named('/restart'), restart),
  route('POST', named('/kill'), kill),
  route('POST', named('/pause'), pause),
  route('POST', named('/unpause'), unpause),
  route('POST', named('/update'), update),
  route('POST', named('/rename'), rename),
  route('POST', named('/wait'), wait),
  route('GET', named('/logs'), (engine, exchange, name) =>
    logsOf(engine, engine.state.container(name), exchange),
  ),
  route('DELETE', named(''), remove),
]

function named(rest: string): RegExp {
  return new RegExp(`^/containers/${NAME}${rest}$`)
}

function list(engine: Engine, exchange: Exchange): Reply {
  const { state, runtime } = engine
  const filters = exchange.filters()
  const statuses = filters.get('status') ?? []
  const names = (filters.get('name') ?? []).map((name) => new RegExp(name))
  const found = [...state.containers.values()].filter((container) => {
    if (statuses.length > 0 ? !statuses.includes(statusOf(container)) : !exchange.flag('all')) {
      if (statuses.length > 0 || !isRunning(container)) return false
    }
    const matching = names.some((name) => name.test(container.name) || name.test(`/${container.name}`))
    const ids = filters.get('id')
    if (ids && !ids.some((id) => container.id.startsWith(id))) return false
    return (names.length === 0 || matching) && hasLabels(container.labels, filters.get('label') ?? [])
  })
  const newestFirst = found.reverse()
  return json(newestFirst.map((one) => summarizeContainer(one, state, runtime.addresses.gateway)))
}

async function create(engine: Engine, exchange: Exchange): Promise<Reply> {
  const body = await exchange.json<CreateBody>()
  const { state } = engine
  if (Object.keys(body).length === 0) {
    throw new Refused(400, 'Config cannot be empty in order to create a container')
  }
  const image = state.findImage(body.Image ?? '')
  if (!image && body.Image) throw new Refused(404, `No such image: ${body.Image}`)
  const cmd = typeof body.Cmd === 'string' ? [body.Cmd] : (body.Cmd ?? image?.cmd ?? [])
  if (!image || cmd.length === 0) throw new Refused(400, 'No command specified')
  const id = newId()
  const name = exchange.query.get('name') ?? `fake_${id.slice(0, 8)}`
  checkName(engine, name)
  checkPolicy(body.HostConfig?.RestartPolicy)
  checkCpus(body.HostConfig?.NanoCpus ?? 0)
  const healthcheck = body.Healthcheck ?? image.healthcheck
  const mode = body.HostConfig?.NetworkMode ?? 'default'
  const container: FakeContainer = {
    id,
    name,
    image: body.Image ?? '',
    imageId: image.id,
    labels: { ...image.labels, ...body.Labels },
    env: mergedEnv(body.Env ?? [], image.env),
    cmd,
    exposedPorts: [...new Set([...image.exposedPorts, ...Object.keys(body.ExposedPorts ?? {})])],
    healthcheck: healthcheck?.Test[0] === 'NONE' ? null : healthcheck,
    created: new Date(),
    hostConfig: {
      ...body.HostConfig,
      NetworkMode: mode,
      RestartPolicy: policy(body.HostConfig?.RestartPolicy),
    },
    status: 'created',
    paused: false,
    exitCode: 0,
    error: '',
    oomKilled: false,
    restartCount: 0,
    health: null,
    failingStreak: 0,
    startedAt: null,
    finishedAt: null,
    endpoints: [{ network: mode === 'default' ? 'bridge' : mode, address: '', endpointId: '' }],
    logs: [],
    manuallyStopped: false,
    program: null,
  }
  state.containers.set(id, container)
  engine.events.container(container, 'create')
  return json({ Id: id, Warnings: [] }, 201)
}

function mergedEnv(own: readonly string[], ofImage: readonly string[]): string[] {
  const names = new Set(own.map((entry) => entry.split('=')[0]))
  return [...own, ...ofImage.filter((entry) => !names.has(entry.split('=')[0]))]
}

function policy(given: RestartPolicy | undefined): RestartPolicy {
  return { Name: given?.Name ?? '', MaximumRetryCount: given?.MaximumRetryCount ?? 0 }
}

function checkPolicy(given: RestartPolicy | undefined): void {
  if (!POLICIES.includes(given?.Name ?? '')) {
    throw new Refused(400, `invalid restart policy '${given?.Name}'`)
  }
}

function checkCpus(nano: number): void {
  if (nano <= CPUS * 1e9) return
  const message = `Range of CPUs is from 0.01 to ${CPUS}.00, as there are only ${CPUS} CPUs available`
  throw new Refused(400, message)
}

function checkName(engine: Engine, name: string, says = ''): void {
  if (!/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new Refused(400, `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
  }
  const holder = [...engine.state.containers.values()].find((container) => container.name === name)
  if (!holder) return
  const message = `The container name "/${name}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`
  throw new Refused(409, `${says}Conflict. ${message}`)
}

async function restart(engine: Engine, exchange: Exchange, name: string): Promise<Reply> {
  const container = engine.state.container(name)
  await engine.runtime.stop(container, exchange.number('t', 10) * 1000)
  await engine.runtime.start(container)
  engine.events.container(container, 'restart')
  return DONE
}

async function kill(engine: Engine, exchange: Exchange, name: string): Promise<Reply> {
  const wanted = (exchange.query.get('signal') ?? 'SIGKILL').toUpperCase().replace(/^SIG/, '')
  const signal = SIGNALS[wanted] ?? Number(wanted)
  if (!(signal > 0)) throw new Refused(400, `Invalid signal: ${exchange.query.get('signal')}`)
  const found = [...engine.state.containers.values()].some(
    (one) => one.name === name || one.id.startsWith(name),
  )
  if (!found) throw new Refused(404, `Cannot kill container: ${name}: No such container: ${name}`)
  const container = engine.state.container(name)
  if (!isRunning(container)) {
    throw new Refused(409, `Cannot kill container: ${name}: Container ${container.id} is not running`)
  }
  await engine.runtime.kill(container, signal)
  return DONE
}

function pause(engine: Engine, _exchange: Exchange, name: string): Reply {
  const container = engine.state.container(name)
  const says = (words: string) => new Refused(409, `Container ${container.id} is ${words}`)
  if (!isRunning(container)) throw says('not running')
  if (container.paused) throw says('already paused')
  if (container.status === 'restarting') throw says('restarting, wait until the container is running')
  container.paused = true
  engine.events.container(container, 'pause')
  return DONE
}

function unpause(engine: Engine, _exchange: Exchange, name: string): Reply {
  const container = engine.state.container(name)
  if (!container.paused) throw new Refused(500, `Container ${container.id} is not paused`)
  container.paused = false
  engine.events.container(container, 'unpause')
  return DONE
}

async function update(engine: Engine, exchange: Exchange, name: string): Promise<Reply> {
  const body = await exchange.json<{ RestartPolicy?: RestartPolicy } & Record<string, unknown>>()
  const container = engine.state.container(name)
  checkPolicy(body.RestartPolicy)
  const RestartPolicy = body.RestartPolicy ? policy(body.RestartPolicy) : container.hostConfig.RestartPolicy
  container.hostConfig = { ...container.hostConfig, ...body, RestartPolicy }
  engine.events.container(container, 'update')
  return json({ Warnings: null })
}

function rename(engine: Engine, exchange: Exchange, name: string): Reply {
  const container = engine.state.container(name)
  const wanted = (exchange.query.get('name') ?? '').replace(/^\//, '')
  if (wanted === container.name) {
    throw new Refused(400, 'Renaming a container with the same name as its current name')
  }
  checkName(engine, wanted, 'Error when allocating new name: ')
  const oldName = `/${container.name}`
  container.name = wanted
  engine.events.container(container, 'rename', { oldName })
  return DONE
}

function wait(engine: Engine, exchange: Exchange, name: string): Reply {
  const { runtime, state } = engine
  const container = state.container(name)
  const condition = exchange.query.get('condition') ?? 'not-running'
  async function* ended(): AsyncGenerator<string> {
    if (condition === 'next-exit' && container.status !== 'running') {
      await runtime.change(container, exchange.signal)
    }
    await runtime.ended(container, exchange.signal)
    while (condition === 'removed' && state.containers.has(container.id) && !exchange.signal.aborted) {
      await runtime.change(container, exchange.signal)
    }
    yield `${JSON.stringify({ Error: null, StatusCode: container.exitCode })}\n`
  }
  return { status: 200, type: 'application/json', stream: ended() }
}

async function remove(engine: Engine, exchange: Exchange, name: string): Promise<Reply> {
  const container = engine.state.container(name)
  if (isRunning(container) && !exchange.flag('force')) {
    const message = `You cannot remove a ${container.status} container ${container.id}. Stop the container before attempting removal or force remove`
    throw new Refused(409, message)
  }
  await engine.runtime.remove(container)
  return DONE
}
