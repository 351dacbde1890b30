import { type Dialect, without } from './generations.js'
import {
  type EngineState,
  type FakeContainer,
  type FakeImage,
  type FakeNetwork,
  type Json,
  isRunning,
  statusOf,
} from './model.js'

const NEVER = '0001-01-01T00:00:00Z'

/** `GET /containers/{id}/json` */
export function inspectContainer(container: FakeContainer, state: EngineState, gateway: string): Json {
  const { storageDriver, leftOut } = state.dialect
  const [path = '', ...args] = container.cmd
  return {
    Id: container.id,
    Created: container.created.toISOString(),
    Path: path,
    Args: args,
    State: stateOf(container),
    Image: container.imageId,
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: storageDriver,
    Platform: 'linux',
    HostConfig: container.hostConfig,
    Mounts: [],
    Config: without(leftOut.config, {
      Hostname: container.id.slice(0, 12),
      User: '',
      Tty: false,
      ...portsOf(container.exposedPorts),
      Env: container.env,
      Cmd: container.cmd,
      ...(container.healthcheck ? { Healthcheck: container.healthcheck } : {}),
      Image: container.image,
      Volumes: null,
      WorkingDir: '',
      Entrypoint: null,
      OnBuild: null,
      Labels: container.labels,
    }),
    NetworkSettings: without(leftOut.settings, {
      Bridge: '',
      Ports: container.status === 'running' ? boundPorts(container) : {},
      Gateway: '',
      IPAddress: '',
      MacAddress: '',
      Networks: networksOf(container, state, gateway),
    }),
  }
}

/** One of `GET /containers/json` */
export function summarizeContainer(container: FakeContainer, state: EngineState, gateway: string): Json {
  const named = state.findImage(container.image)?.id === container.imageId
  const ports = container.status === 'running' ? container.exposedPorts : []
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: named ? container.image : container.imageId,
    ImageID: container.imageId,
    Command: container.cmd.join(' '),
    Created: Math.floor(container.created.getTime() / 1000),
    Ports: ports.map((port) => ({ PrivatePort: Number.parseInt(port, 10), Type: port.split('/')[1] })),
    Labels: container.labels,
    State: statusOf(container),
    Status: statusText(container),
    HostConfig: { NetworkMode: container.hostConfig.NetworkMode },
    NetworkSettings: { Networks: networksOf(container, state, gateway) },
    Mounts: [],
  }
}

function stateOf(container: FakeContainer): Json {
  return {
    Status: statusOf(container),
    Running: isRunning(container),
    Paused: container.paused,
    Restarting: container.status === 'restarting',
    OOMKilled: container.oomKilled,
    Dead: false,
    Pid: container.status === 'running' ? 4242 : 0,
    ExitCode: container.exitCode,
    Error: container.error,
    StartedAt: container.startedAt?.toISOString() ?? NEVER,
    FinishedAt: container.finishedAt?.toISOString() ?? NEVER,
    ...(container.health
      ? { Health: { Status: container.health, FailingStreak: container.failingStreak, Log: [] } }
      : {}),
  }
}

function statusText(container: FakeContainer): string {
  if (container.paused) return 'Up Less than a second (Paused)'
  const health = container.health === 'starting' ? 'health: starting' : container.health
  if (container.status === 'running') return `Up Less than a second${health ? ` (${health})` : ''}`
  if (container.status === 'created') return 'Created'
  const word = container.status === 'restarting' ? 'Restarting' : 'Exited'
  return `${word} (${container.exitCode}) Less than a second ago`
}

function networksOf(container: FakeContainer, state: EngineState, gateway: string): Json {
  const entries = container.endpoints.map(({ network, address, endpointId }) => {
    const found = [...state.networks.values()].find(({ id, name }) => id === network || name === network)
    const endpoint = {
      IPAMConfig: null,
      Links: null,
      Aliases: container.status === 'created' ? null : [container.id.slice(0, 12)],
      NetworkID: container.status === 'created' ? '' : (found?.id ?? ''),
      EndpointID: endpointId,
      Gateway: address ? gateway : '',
      IPAddress: address,
      IPPrefixLen: address ? 16 : 0,
      IPv6Gateway: '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
      MacAddress: address ? '02:42:7f:00:00:02' : '',
      DriverOpts: null,
    }
    return [found?.name ?? network, endpoint] as const
  })
  return Object.fromEntries(entries)
}

function portsOf(ports: readonly string[]): Json {
  return ports.length === 0 ? {} : { ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])) }
}

function boundPorts(container: FakeContainer): Json {
  return Object.fromEntries(container.exposedPorts.map((port) => [port, null]))
}

/** `GET /images/{name}/json` */
export function inspectImage(image: FakeImage, { leftOut }: Dialect): Json {
  return without(leftOut.image, {
    Id: image.id,
    RepoTags: image.tags,
    RepoDigests: [],
    Parent: '',
    Comment: '',
    Created: image.created.toISOString(),
    DockerVersion: '',
    Author: '',
    Config: without(leftOut.imageConfig, {
      Hostname: '',
      User: '',
      ...portsOf(image.exposedPorts),
      Env: image.env,
      Cmd: image.cmd.length > 0 ? image.cmd : null,
      ...(image.healthcheck ? { Healthcheck: image.healthcheck } : {}),
      Image: '',
      Volumes: null,
      WorkingDir: '',
      Entrypoint: null,
      OnBuild: null,
      Labels: Object.keys(image.labels).length > 0 ? image.labels : null,
    }),
    Architecture: 'amd64',
    Os: 'linux',
    Size: image.size,
    VirtualSize: image.size,
    RootFS: { Type: 'layers', Layers: [] },
    Metadata: { LastTagTime: image.created.toISOString() },
  })
}

/** One of `GET /images/json`; `containers`: how many use it, -1 where the engine does not count. */
export function summarizeImage(image: FakeImage, { leftOut, nameless }: Dialect, containers = -1): Json {
  const dangling = image.tags.length === 0
  return without(leftOut.summary, {
    Containers: containers,
    Created: Math.floor(image.created.getTime() / 1000),
    Id: image.id,
    Labels: Object.keys(image.labels).length > 0 ? image.labels : null,
    ParentId: '',
    RepoDigests: dangling ? nameless.map((name) => name.replace(':', '@')) : null,
    RepoTags: dangling ? nameless : image.tags,
    SharedSize: containers < 0 ? -1 : 0,
    Size: image.size,
    VirtualSize: image.size,
  })
}

/** `GET /networks/{id}`; the list leaves its containers out. */
export function renderNetwork(network: FakeNetwork, state: EngineState | null, { leftOut }: Dialect): Json {
  const attached = [...(state?.containers.values() ?? [])].flatMap((container) =>
    container.endpoints
      .filter((endpoint) => endpoint.address !== '' && [network.id, network.name].includes(endpoint.network))
      .map(({ address, endpointId }) => {
        const IPv4Address = `${address}/16`
        return [container.id, { Name: container.name, EndpointID: endpointId, IPv4Address }] as const
      }),
  )
  return without(state === null ? leftOut.networks : [], {
    Name: network.name,
    Id: network.id,
    Created: network.created.toISOString(),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(attached),
    Options: {},
    Labels: network.labels,
  })
}
