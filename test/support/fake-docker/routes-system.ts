import { type EngineEvent, matches } from './events.js'
import { without } from './generations.js'
import { type Engine, json, type Route, route } from './engine.js'
import type { Exchange, Reply } from './exchange.js'
import { CPUS, isRunning, Refused } from './model.js'
import { summarizeContainer, summarizeImage } from './render.js'

export const SYSTEM_ROUTES: readonly Route[] = [
  route('GET', /^\/_ping$/, ping),
  route('HEAD', /^\/_ping$/, ping),
  route('GET', /^\/version$/, version),
  route('GET', /^\/info$/, info),
  route('GET', /^\/events$/, events),
  route('GET', /^\/system\/df$/, diskUsage),
  route('POST', /^\/build\/prune$/, ({ buildCacheBytes }) =>
    json({ CachesDeleted: null, SpaceReclaimed: buildCacheBytes }),
  ),
  // Only an upgrade opens a session; the server sees to that.
  route('POST', /^\/session$/, () => {
    throw new Refused(400, 'no upgrade proto in request')
  }),
]

function ping(): Reply {
  async function* ok(): AsyncGenerator<string> {
    yield await Promise.resolve('OK')
  }
  return { status: 200, type: 'text/plain; charset=utf-8', stream: ok() }
}

function version(engine: Engine): Reply {
  const { api, oldestApi } = engine.dialect
  const details = { ApiVersion: `1.${api}`, Arch: 'amd64', MinAPIVersion: `1.${oldestApi}`, Os: 'linux' }
  const component = { Name: 'Engine', Version: engine.version, Details: details }
  const facts = { GitCommit: 'fake', GoVersion: 'go1.19.8', KernelVersion: '6.1.0', BuildTime: '' }
  const Platform = { Name: '' }
  return json({ Platform, Components: [component], Version: engine.version, ...details, ...facts })
}

function info(engine: Engine): Reply {
  const { state, events, id, version: ServerVersion, swarmState: LocalNodeState } = engine
  const containers = [...state.containers.values()]
  const running = containers.filter(isRunning).length
  return json({
    ID: id,
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: containers.length - running,
    Images: state.images.size,
    Driver: engine.dialect.storageDriver,
    MemoryLimit: true,
    SwapLimit: true,
    PidsLimit: true,
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: '1',
    NEventsListener: events.listeners,
    OperatingSystem: 'Fake',
    OSType: 'linux',
    Architecture: 'x86_64',
    NCPU: CPUS,
    MemTotal: 8 * 1024 ** 3,
    DockerRootDir: '/var/lib/docker',
    Name: 'fake',
    Labels: [],
    ServerVersion,
    DefaultRuntime: 'runc',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState,
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: false,
    SecurityOptions: ['name=seccomp,profile=default'],
    Warnings: null,
  })
}

function events(engine: Engine, exchange: Exchange): Reply {
  const filters = exchange.filters()
  const since = exchange.number('since', Infinity)
  const until = exchange.number('until', Infinity)
  const seconds = ({ timeNano }: EngineEvent) => timeNano / 1e9
  const waiting = engine.events.past.filter((event) => seconds(event) >= since && seconds(event) <= until)
  let wake: () => void = () => undefined
  // From the request on, not from the first read: nothing that happens between is lost.
  const unlisten = engine.events.listen((event) => {
    waiting.push(event)
    wake()
  })
  const { signal } = exchange
  signal.addEventListener('abort', () => wake(), { once: true })
  async function* follow(): AsyncGenerator<string> {
    try {
      while (!signal.aborted) {
        for (const event of waiting.splice(0)) {
          if (matches(event, filters)) yield `${JSON.stringify(event)}\n`
        }
        if (until !== Infinity) return
        if (waiting.length === 0 && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      unlisten()
    }
  }
  return { status: 200, type: 'application/json', stream: follow() }
}

function diskUsage({ state, runtime, buildCacheBytes, dialect }: Engine): Reply {
  const images = [...state.images.values()]
  const containers = [...state.containers.values()]
  const usage = {
    LayersSize: images.reduce((total, image) => total + image.size, 0),
    Images: images.map((image) => summarizeImage(image, dialect, state.containersOf(image).length)),
    Containers: containers.map((one) => summarizeContainer(one, state, runtime.addresses.gateway)),
    Volumes: [],
    BuildCache: [],
    BuilderSize: buildCacheBytes,
  }
  return json(without(dialect.leftOut.usage, usage))
}
