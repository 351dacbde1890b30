import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { readConfig } from '../../src/config.js'
import type { ContainerState } from '../../src/engine/docker/docker.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { runGit } from '../../src/engine/git/git-command.js'
import { isResourceExhaustion } from '../../src/engine/resource-exhaustion.js'
import { ThrottledLog } from '../../src/engine/throttled-log.js'
import { AppAgent } from '../../src/engine/routing/app-agent.js'
import { forward } from '../../src/engine/routing/forward.js'
import { NO_PROXIES } from '../../src/engine/http1/trusted-proxies.js'
import { InFlight } from '../../src/engine/routing/in-flight.js'
import { NoRouter } from '../../src/engine/routing/router.js'
import { probeThrough } from '../../src/engine/routing/traefik-gateway.js'
import { RoundRobin } from '../../src/engine/routing/round-robin.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { Watcher } from '../../src/engine/traffic/watch.js'
import type { Services } from '../../src/engine/services.js'
import { runProbe, type Probe } from '../../src/engine/traffic/health.js'
import { createLogger } from '../../src/logger.js'
import { openRawShop, RawClient } from './raw.js'
import { openShop } from './routing.js'
import { starve } from './starved.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Of a container whose app answers at 127.0.0.1. */
const STATE = {
  ...{ running: true, paused: false, exitCode: 0, outOfMemory: false, restarts: 0, keptRunning: true },
  ...{ health: null, healthCheck: null, address: '127.0.0.1' },
} satisfies ContainerState

/** What each finds while there are no descriptors left. `port`: an app in another process. */
const SCENARIOS: Readonly<Record<string, (port: number) => Promise<unknown>>> = {
  async probes(port) {
    const probes: Probe[] = [{ kind: 'tcp' }, { kind: 'http', path: '/', url: 'http://shop.localhost' }]
    const asking = { port, timeoutMs: 5_000, signal: new AbortController().signal }
    const askAll = () => Promise.all(probes.map((probe) => runProbe(probe, STATE, asking)))
    const feed = starve()
    const starved = await askAll()
    feed()
    return { starved, fed: await askAll() }
  },

  async docker() {
    const docker = new Dockerode({
      ...readConfig({}),
      dockerHost: 'unix:///var/run/docker.sock',
      onUnlimited: () => undefined,
    })
    const feed = starve()
    const error = await docker.ping().then(() => null, codeOf)
    feed()
    return error
  },

  async git() {
    const settings = { allowFileRepos: false, homeDir: '/nonexistent' }
    const feed = starve()
    const isOwn = await runGit(settings, ['version']).then(() => false, isResourceExhaustion)
    feed()
    return isOwn
  },

  /** Two requests on connections that were there before: one for which nothing becomes free, and one for which it does. */
  async router(port) {
    let heard: () => void = () => undefined
    const warn = () => heard()
    const target = { deploymentId: 'one', addresses: ['127.0.0.1'], port }
    const shared = { agent: new AppAgent(), inFlight: new InFlight(), roundRobin: new RoundRobin() }
    const server = createServer((incoming, response) => {
      const shortages = new ThrottledLog({ ...createLogger('error'), warn }, 'short')
      forward(incoming, response, {
        ...shared,
        target,
        targetNow: () => target,
        shortages,
        proxies: NO_PROXIES,
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const first = new RawClient((server.address() as AddressInfo).port)
    await once(server, 'connection')
    const second = new RawClient((server.address() as AddressInfo).port)
    await once(server, 'connection')
    const feed = starve()
    first.send(['GET / HTTP/1.1'])
    await first.gets(/<\/html>/)
    const waits = new Promise<void>((resolve) => (heard = resolve))
    second.send(['GET / HTTP/1.1'])
    await Promise.race([waits, second.gets(/</)])
    feed()
    await second.gets(/ok$/)
    return { first: first.received, second: second.received }
  },

  /** Whether the router reaches an app whom it can ask only when descriptors are free again. */
  async reached() {
    const opened = await openRawShop()
    const app = await opened.listen((socket) => socket.end(OK))
    const id = await opened.serve(app.port)
    const request = {
      host: `shop-${id}.test.example`,
      path: '/',
      timeoutMs: 5_000,
      addresses: [],
      port: app.port,
    }
    const url = `http://127.0.0.1:${opened.router.port()}`
    const feed = starve()
    const asked = [opened.router.probe(request), probeThrough(url, request)]
    // Those had their turn before this one.
    await assert.rejects(connected(connect(app.port, '127.0.0.1')), { code: 'EMFILE' })
    feed()
    return Promise.all(asked)
  },

  /** What a watcher says of a new version that is well, when it cannot ask it four times in a row. */
  async watch(port) {
    await using shop = await openShop()
    const id = await shop.add(port)
    await shop.switchTo(id)
    const { database, wakeups } = shop.process
    const health = { path: null, timeoutSeconds: 5 }
    await database.query(
      `UPDATE deployment SET watch_until = now() + interval '1 hour', configuration = $2 WHERE id = $1`,
      [id, JSON.stringify({ replicas: 1, health })],
    )
    const docker = { findContainer: () => Promise.resolve(STATE), lastLines: () => Promise.resolve([]) }
    const said: string[] = []
    const warn = (message: string, fields?: { error?: string }) =>
      said.push(`${message}: ${fields?.error ?? ''}`)
    const logger = { ...createLogger('error'), warn }
    const settings = { baseDomain: 'test.example', publicPort: 80 }
    const adapters = { router: new NoRouter(), docker, secrets: new SecretBox(randomBytes(32)), settings }
    const watcher = new Watcher({ database, wakeups, logger, ...adapters } as unknown as Services)
    const look = async () => {
      await watcher.runOnce()
      await watcher.settle()
    }
    await look()
    const feed = starve()
    for (let turn = 0; turn < 4; turn++) await look()
    feed()
    await look()
    return said
  },
}

async function connected(socket: Socket): Promise<void> {
  await once(socket, 'connect')
}

function codeOf(error: unknown): unknown {
  return (error as { code?: string }).code
}

const [scenario = '', port] = process.argv.slice(2)
const result = await SCENARIOS[scenario]?.(Number(port))
process.send?.({ result })
