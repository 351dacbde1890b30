import { type Engine, json, OK, type Route, route } from './engine.js'
import type { Exchange, Reply } from './exchange.js'
import { type FakeContainer, type FakeNetwork, isRunning, Refused } from './model.js'
import { renderNetwork } from './render.js'

export const NETWORK_ROUTES: readonly Route[] = [
  route('GET', /^\/networks$/, listNetworks),
  route('POST', /^\/networks\/create$/, createNetwork),
  route('GET', /^\/networks\/([^/]+)$/, ({ state, dialect }, _exchange, name) =>
    json(renderNetwork(state.network(name), state, dialect)),
  ),
  route('DELETE', /^\/networks\/([^/]+)$/, removeNetwork),
  route('POST', /^\/networks\/([^/]+)\/connect$/, connect),
  route('POST', /^\/networks\/([^/]+)\/disconnect$/, disconnect),
]

function listNetworks({ state, dialect }: Engine, exchange: Exchange): Reply {
  const filters = exchange.filters()
  const names = filters.get('name')
  const found = [...state.networks.values()].filter(
    ({ name }) => names === undefined || names.some((part) => name.includes(part)),
  )
  return json(found.map((network) => renderNetwork(network, null, dialect)))
}

async function createNetwork(engine: Engine, exchange: Exchange): Promise<Reply> {
  const body = await exchange.json<{ Name: string; Driver?: string; Labels?: Record<string, string> }>()
  const { Name, Driver, Labels } = body
  if ([...engine.state.networks.values()].some(({ name }) => name === Name)) {
    throw new Refused(409, `network with name ${Name} already exists`)
  }
  const network = engine.state.addNetwork(Name, Labels, Driver)
  engine.events.network(network.id, Name, 'create')
  return json({ Id: network.id, Warning: '' }, 201)
}

function removeNetwork(engine: Engine, _exchange: Exchange, name: string): Reply {
  const network = engine.state.network(name)
  // Of several of one name the containers are on the first.
  const first = [...engine.state.networks.values()].find((one) => one.name === network.name)
  const inUse = [...engine.state.containers.values()].some(
    (container) =>
      isRunning(container) &&
      container.endpoints.some(
        (one) => one.network === network.id || (network === first && isOf(one.network, first)),
      ),
  )
  if (inUse) throw new Refused(403, `error while removing network: network ${name} has active endpoints`)
  engine.state.networks.delete(network.id)
  engine.events.network(network.id, network.name, 'destroy')
  return { status: 204 }
}

async function connect(engine: Engine, exchange: Exchange, name: string): Promise<Reply> {
  const { network, container } = await pair(engine, exchange, name)
  if (container.endpoints.some((endpoint) => isOf(endpoint.network, network))) {
    const message = `endpoint with name ${container.name} already exists in network ${network.name}`
    throw new Refused(403, message)
  }
  await engine.runtime.attach(container, network.name)
  engine.events.network(network.id, network.name, 'connect', { container: container.id })
  return OK
}

async function disconnect(engine: Engine, exchange: Exchange, name: string): Promise<Reply> {
  const { network, container } = await pair(engine, exchange, name)
  const endpoint = container.endpoints.find((one) => isOf(one.network, network))
  if (!endpoint) {
    throw new Refused(500, `container ${container.id} is not connected to network ${network.name}`)
  }
  await engine.runtime.detach(container, endpoint)
  return OK
}

async function pair(
  engine: Engine,
  exchange: Exchange,
  name: string,
): Promise<{ network: FakeNetwork; container: FakeContainer }> {
  const { Container } = await exchange.json<{ Container: string }>()
  const container = engine.state.container(Container)
  return { network: engine.state.network(name), container }
}

function isOf(reference: string, { id, name }: FakeNetwork): boolean {
  return reference === name || reference === id
}
