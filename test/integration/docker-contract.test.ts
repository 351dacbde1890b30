import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Engines, type EngineUnderTest, openEngines } from '../support/docker-engines.js'
import { at, fields, filters } from '../support/docker-http.js'
import { until } from '../support/server.js'

const STATE = ['Status', 'Running', 'Restarting', 'OOMKilled', 'Dead', 'ExitCode', 'Error'].map(
  (name) => `State.${name}`,
)
const NETWORK = 'NetworkSettings.Networks.longshore'
const ADDRESS = `${NETWORK}.IPAddress`
const WEB = 'echo hello; echo bad >&2; exec busybox httpd -f -p 8080 -h /'

/** The same calls on the real engine and on the fake: what Longshore reads of the answers is the same. */
describe('the fake engine answers as the real one', () => {
  let engines: Engines
  before(async () => {
    engines = await openEngines()
  })
  after(() => engines[Symbol.asyncDispose]())

  const same: Engines['same'] = (work) => engines.same(work)
  const alike: Engines['alike'] = (work, exact, typed) => engines.alike(work, exact, typed)
  const json = async (engine: EngineUnderTest, path: string) => (await engine.call('GET', path)).json()

  test('ping, an unknown page, an API version that is too new', () =>
    same(async (engine) => [
      (await engine.call('GET', '/_ping')).text,
      (await engine.call('GET', '/v1.41/_ping')).text,
      engine.said(await engine.call('HEAD', '/_ping')),
      engine.said(await engine.call('GET', '/nowhere')),
      engine.said(await engine.call('GET', '/v1.99/version')),
      engine.said(await engine.call('POST', '/session')),
    ]))

  test('version', () =>
    alike((engine) => json(engine, '/version'), ['Os'], ['Version', 'ApiVersion', 'MinAPIVersion', 'Arch']))

  test('an API that Longshore can use: 1.41 or newer, on any path without a version', async () => {
    for (const engine of [engines.real, engines.fake]) {
      const [, minor] = /^1\.(\d+)$/.exec(String((await json(engine, '/version')).ApiVersion)) ?? []
      assert.ok(Number(minor) >= 41, minor)
    }
  })

  test('info', () =>
    alike(
      (engine) => json(engine, '/info'),
      ['OSType'],
      [
        'DockerRootDir',
        'MemTotal',
        'NCPU',
        'ServerVersion',
        'Swarm.LocalNodeState',
        'ID',
        'Name',
        'Containers',
      ],
    ))

  test('disk usage', () =>
    alike((engine) => json(engine, '/system/df'), [], ['LayersSize', 'Images', 'Containers']))

  test('the build cache is pruned within its bound', () =>
    alike(
      async (engine) => (await engine.call('POST', '/build/prune?keep-storage=99999999999')).json(),
      ['SpaceReclaimed'],
    ))

  const missing: readonly [method: string, path: string, body?: object][] = [
    ['GET', '/containers/nope/json'],
    ['POST', '/containers/nope/start'],
    ['POST', '/containers/nope/stop'],
    ['POST', '/containers/nope/restart'],
    ['POST', '/containers/nope/kill'],
    ['POST', '/containers/nope/update', { RestartPolicy: { Name: 'no' } }],
    ['POST', '/containers/nope/rename?name=other'],
    ['POST', '/containers/nope/wait'],
    ['POST', '/containers/nope/pause'],
    ['POST', '/containers/nope/unpause'],
    ['GET', '/containers/nope/logs?stdout=1'],
    ['DELETE', '/containers/nope'],
    ['DELETE', '/containers/nope?force=true&v=true'],
    ['POST', '/containers/create?name=nope', { Image: 'longshore-test/nope:x' }],
    ['POST', '/containers/create?name=nope', {}],
    ['POST', '/containers/create'],
    ['GET', '/images/nope/json'],
    ['GET', '/images/nope:x/json'],
    ['DELETE', '/images/nope:x'],
    ['DELETE', '/images/nope:x?force=true'],
    ['POST', '/images/nope:x/tag?repo=a&tag=b'],
    ['GET', '/networks/nope'],
    ['DELETE', '/networks/nope'],
    ['POST', '/networks/nope/connect', { Container: 'nope' }],
  ]
  for (const [method, path, body] of missing) {
    test(`${method} ${path}${body ? ` ${JSON.stringify(body)}` : ''} is refused alike`, () =>
      same(async (engine) => engine.said(await engine.call(method, path, body))))
  }

  test('a container from its creation to its removal', () =>
    same(async (engine) => {
      const name = `${engine.mark}-life`
      const created = await engine.create(name, WEB)
      const on = async (method: string, path: string, body?: object) =>
        engine.said(await engine.call(method, `/containers/${name}${path}`, body))
      return [
        { status: created.status, id: typeof created.json().Id },
        engine.said(await engine.create(name, WEB)),
        engine.said(await engine.create('a b', WEB)),
        [await on('POST', '/stop'), await on('POST', '/kill'), await on('GET', '/logs?stdout=1')],
        [await on('POST', '/start'), await on('POST', '/start')],
        [await on('DELETE', ''), await on('POST', '/kill?signal=WAT')],
        [await on('POST', '/unpause'), await on('POST', '/pause'), await on('POST', '/pause')],
        [await on('POST', '/start'), await on('POST', '/unpause'), await on('POST', '/pause')],
        [await on('POST', '/stop?t=1'), await on('POST', '/pause'), await on('POST', '/start')],
        await on('POST', '/update', { RestartPolicy: { Name: 'unless-stopped' } }),
        await on('POST', '/update', { RestartPolicy: { Name: 'wat' } }),
        at(await engine.inspect(name), 'HostConfig.RestartPolicy'),
        [await on('POST', `/rename?name=${name}`), await on('POST', `/rename?name=${name}-2`)],
        [await on('GET', '/json'), await on('POST', '/start')],
        engine.said(await engine.call('POST', `/containers/${name}-2/rename?name=${name}`)),
        [await on('POST', '/stop?t=2'), await on('POST', '/stop?t=2'), await on('POST', '/wait')],
        [await on('POST', '/start'), await on('POST', '/restart?t=2'), await on('POST', '/kill')],
        [await on('POST', '/wait'), fields(await engine.inspect(name), [...STATE, 'RestartCount', ADDRESS])],
        [await on('DELETE', ''), await on('DELETE', '?force=true')],
      ]
    }))

  test('what is said of a container: created, running, stopped', async () => {
    const name = `${engines.real.mark}-inspect`
    await engines.onBoth((engine) => engine.create(name, WEB, { labels: { more: 'x' } }))
    const exact = [...STATE, 'Name', 'RestartCount', 'Config.Labels', 'Config.Cmd', 'HostConfig.NetworkMode']
    const typed = ['Id', 'Created', 'Image', 'Config.Env', ADDRESS, 'State.StartedAt', 'State.Health']
    const listed = async (engine: EngineUnderTest) =>
      (await engine.call('GET', `/containers/json?all=true&${filters({ name: [name] })}`)).json<object[]>()[0]
    const both = async () => {
      await alike((engine) => engine.inspect(name), exact, typed)
      const summary = ['Names', 'Labels', 'State', 'Image', 'HostConfig.NetworkMode']
      await alike(listed, summary, ['Id', 'ImageID', 'Created', 'Status', ADDRESS])
    }
    await both()
    await engines.onBoth((engine) => engine.call('POST', `/containers/${name}/start`))
    await both()
    await engines.onBoth((engine) => engine.call('POST', `/containers/${name}/stop?t=2`))
    await both()
  })

  test('a running container answers at an address of its own, which goes with its end', () =>
    same(async (engine) => {
      const names = ['one', 'two'].map((name) => `${engine.mark}-address-${name}`)
      const addresses: string[] = []
      for (const name of names) {
        await engine.create(name, WEB)
        await engine.call('POST', `/containers/${name}/start`)
        addresses.push(String(at(await engine.inspect(name), ADDRESS)))
      }
      const get = (address: string) =>
        until(() => ask(address).catch(() => null)).then((status) => status > 0)
      const answers = [await get(addresses[0] ?? ''), await get(addresses[1] ?? '')]
      await engine.call('POST', `/containers/${names[0]}/stop?t=1`)
      const gone = await ask(addresses[0] ?? '').catch(() => 'refused')
      return [addresses[0] === addresses[1], answers, gone]
    }))

  test('which containers a list has', () =>
    same(async (engine) => {
      const [run, ended] = [`${engine.mark}-list-run`, `${engine.mark}-list-ended`]
      await engine.create(run, WEB, { labels: { list: 'a' } })
      await engine.create(ended, 'exit 0', { labels: { list: 'b' } })
      for (const name of [run, ended]) await engine.call('POST', `/containers/${name}/start`)
      await engine.call('POST', `/containers/${ended}/wait`)
      const names = async (query: string, values: Record<string, string[]>) => {
        const answer = await engine.call('GET', `/containers/json?${query}&${filters(values)}`)
        return answer.json<{ Names: string[] }[]>().map(({ Names }) => Names)
      }
      const ours = `contract=${engine.mark}`
      return [
        await names('', { label: [ours, 'list'] }),
        await names('all=true', { label: [ours, 'list'] }),
        await names('all=1', { label: [ours, 'list=b'] }),
        await names('all=1', { label: [ours, 'list=c'] }),
        await names('all=1', { label: [ours], name: [ended, run] }),
        await names('all=1', { name: [`^/${run}$`] }),
        await names('', { status: ['exited'], label: [ours, 'list'] }),
      ]
    }))

  test('a container that ends by itself is started again, if its policy says so', () =>
    same(async (engine) => {
      const name = `${engine.mark}-again`
      await engine.create(name, 'busybox sleep 0.05; exit 5', { policy: 'unless-stopped' })
      await engine.call('POST', `/containers/${name}/start`)
      const between = await until(async () => {
        const found = await engine.inspect(name)
        return at(found, 'State.Restarting') && Number(found.RestartCount) >= 3 ? found : null
      })
      const refused = (await engine.call('DELETE', `/containers/${name}`)).status
      const stopped = engine.said(await engine.call('POST', `/containers/${name}/stop?t=1`))
      const state = fields(await engine.inspect(name), ['State.Status', 'State.Running', 'State.Restarting'])
      const seen = fields(between, [...STATE, ADDRESS])
      return [seen, refused, stopped, state]
    }))

  test('a paused container runs and is not listed as running; started by the port it goes on', () =>
    same(async (engine) => {
      const name = `${engine.mark}-paused`
      const docker = engine.port('classic')
      const state = async () => {
        const found = await docker.findContainer(name)
        const [listed] = await docker.listContainers(`paused=${engine.mark}`)
        return [found?.running, found?.paused, listed?.running, found?.address === listed?.address]
      }
      await engine.create(name, WEB, { labels: { paused: engine.mark } })
      await engine.call('POST', `/containers/${name}/start`)
      await engine.call('POST', `/containers/${name}/pause`)
      const whilePaused = await state()
      await docker.startContainer(name, new AbortController().signal)
      return [whilePaused, await state()]
    }))

  test('a container that is killed is not started again', () =>
    same(async (engine) => {
      const name = `${engine.mark}-killed`
      await engine.create(name, WEB, { policy: 'unless-stopped' })
      await engine.call('POST', `/containers/${name}/start`)
      await engine.call('POST', `/containers/${name}/kill`)
      await engine.call('POST', `/containers/${name}/wait`)
      return fields(await engine.inspect(name), [...STATE, 'RestartCount'])
    }))

  test('one that the engine cannot put on its network', () =>
    same(async (engine) => {
      const name = `${engine.mark}-nowhere`
      const created = await engine.create(name, 'exit 0', { network: `${engine.mark}-no-network` })
      const started = engine.said(await engine.call('POST', `/containers/${name}/start`))
      return [created.status, started]
    }))
})

async function ask(address: string): Promise<number> {
  return (await fetch(`http://${address}:8080/`, { signal: AbortSignal.timeout(500) })).status
}
