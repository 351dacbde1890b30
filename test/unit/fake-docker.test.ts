import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { DeployError, InfrastructureError } from '../../src/engine/errors.js'
import { SILENT } from '../support/build-output.js'
import { filesContext } from '../support/build-files.js'
import { DockerHttp, filters } from '../support/docker-http.js'
import { type Behaviour, FakeDocker } from '../support/fake-docker/fake-docker.js'
import { Gate } from '../support/fake-docker/faults.js'
import type { Generation } from '../support/fake-docker/generations.js'
import { BASE_IMAGE, webApp } from '../support/repository.js'
import { UNLIMITED } from '../support/docker-engines.js'
import { until } from '../support/server.js'

const SIGNAL = new AbortController().signal

const GENERATIONS: readonly Generation[] = ['20.10', '29']
for (const speaks of GENERATIONS) describe(`a fake engine that speaks as ${speaks}`, () => suite(speaks))

function suite(speaks: Generation): void {
  let docker: FakeDocker
  let port: Dockerode
  let http: DockerHttp
  beforeEach(async () => {
    docker = await FakeDocker.start(undefined, BASE_IMAGE, speaks)
    port = new Dockerode({
      dockerHost: docker.host,
      builder: 'buildkit',
      buildSilenceMs: 10_000,
      dockerTimeoutMs: 60_000,
      ...UNLIMITED,
    })
    http = new DockerHttp(docker.host)
  })
  afterEach(() => docker[Symbol.asyncDispose]())

  function build(tag = 'shop:1', signal = SIGNAL, text = 'hello') {
    const context = filesContext(webApp(text, ['echo grün und 💚']))
    const plain = { noCache: false, target: null, args: {}, platform: null, secrets: new Map() }
    return port.build(
      { context, dockerfile: 'Dockerfile', tag, labels: {}, ...plain, output: SILENT },
      signal,
    )
  }

  async function start(name: string, behaviour: Behaviour | null = null) {
    docker.behaviour = () => behaviour
    if (!docker.image('web')) docker.addImage('web', { cmd: ['serve'] })
    const limits = { memoryBytes: 1e8, cpus: 1, pids: 10 }
    await port.createContainer(
      { name, image: 'web', command: null, env: ['PORT=8080'], labels: { app: name }, ...limits },
      SIGNAL,
    )
    await port.startContainer(name, SIGNAL)
    return docker.container(name)?.endpoints[0]?.address ?? ''
  }

  describe('spoils', () => {
    test('an answer: late, never, refused, broken off, ended early', async () => {
      const get = () => http.call('GET', '/version')
      docker.fault({ path: /^\/version/, kind: 'delay', ms: 50 })
      const before = performance.now()
      assert.equal((await get()).status, 200)
      assert.ok(performance.now() - before >= 49)
      docker.fault({ path: /version/, kind: 'hang' })
      assert.equal(
        await Promise.race([get(), new Promise((resolve) => setTimeout(resolve, 50, 'hangs'))]),
        'hangs',
      )
      docker.fault({ path: /version/, kind: 'error500', times: 2 })
      assert.deepEqual([(await get()).status, (await get()).status, (await get()).status], [500, 500, 200])
      docker.fault({ path: /version/, kind: 'reset' })
      await assert.rejects(get())
      docker.fault({ path: /version/, kind: 'early-eof' })
      assert.equal((await get()).text, '')
      docker.fault({ path: /version/, kind: 'half-frame' })
      const half = await get()
      assert.throws(() => half.json())
    })

    test('a build: no image unless it was done', async () => {
      const infrastructure = (error: unknown) => error instanceof InfrastructureError
      docker.fault({ path: /build/, kind: 'reset' })
      await assert.rejects(build(), infrastructure)
      docker.fault({ path: /build/, kind: 'early-eof' })
      await assert.rejects(build(), infrastructure)
      docker.fault({ path: /build/, kind: 'half-frame' })
      await assert.rejects(build())
      docker.fault({ path: /build/, kind: 'error-line', code: 9 })
      await assert.rejects(build(), (error) => error instanceof DeployError && error.exitCode === 9)
      docker.fault({ path: /build/, kind: 'error500' })
      await assert.rejects(build(), /refused the build/)
      assert.equal(docker.image('shop:1'), null)
      docker.fault({ path: /build/, kind: 'done-then-error' })
      await assert.rejects(build(), infrastructure)
      assert.notEqual(docker.image('shop:1'), null)
      docker.fault({ path: /build/, kind: 'split-utf8' })
      await build()
      assert.deepEqual({ ...docker.builds }, { started: 6, finished: 2, failed: 4, aborted: 0 })
    })

    test('a change: carried out only when it says so', async () => {
      await start('aa')
      const stop = () => http.call('POST', '/containers/aa/stop')
      for (const kind of ['reset', 'error500', 'early-eof'] as const) {
        docker.fault({ method: 'POST', path: /stop/, kind })
        await stop().catch(() => null)
        assert.equal(docker.container('aa')?.status, 'running', kind)
      }
      docker.fault({ path: /stop/, kind: 'done-then-error', then: 'error500' })
      assert.equal((await stop()).status, 500)
      assert.equal(docker.container('aa')?.status, 'exited')
    })

    test('a log in the middle of a frame', async () => {
      await start('aa', { output: ['one', 'two'] })
      docker.fault({ path: /logs/, kind: 'half-frame', after: 1 })
      assert.equal((await http.call('GET', '/containers/aa/logs?stdout=1')).body.length, 12 + 6)
    })

    test('a stream of events', async () => {
      docker.fault({ path: /events/, kind: 'early-eof', after: 2 })
      using stream = await http.follow(`/events?${filters({ type: ['container'] })}`)
      await start('aa')
      await stream.ended
      assert.deepEqual(
        stream.lines.map(({ Action }) => Action),
        ['create', 'start'],
      )
      await until(() => docker.listeners === 0)
    })
  })

  describe('holds', () => {
    test('requests until they may go on, one or all, or fail', async () => {
      await start('aa')
      const gate = docker.hold(/aa\/json/)
      const asked = [1, 2, 3].map(() => http.call('GET', '/containers/aa/json'))
      await gate.until(3)
      gate.next('fail')
      assert.equal(gate.waiting, 2)
      gate.release()
      const statuses = (await Promise.all(asked)).map(({ status }) => status)
      assert.deepEqual(statuses.sort(), [200, 200, 500])
      assert.equal((await http.call('GET', '/containers/aa/json')).status, 200)
    })

    test('a build before its result', async () => {
      const [first, second] = [docker.hold(/build.*shop:1/), docker.hold(/build.*shop:2/)]
      const builds = [build('shop:1'), build('shop:2')]
      const failed = assert.rejects(builds[1] ?? Promise.resolve(), DeployError)
      await Promise.all([first.until(), second.until()])
      assert.equal(docker.image('shop:1'), null)
      first.release()
      second.release('fail')
      assert.equal((await builds[0])?.id, docker.image('shop:1')?.id)
      await failed
      assert.equal(docker.image('shop:2'), null)
    })

    test('nobody that it took, and who comes to wait when it is open', async () => {
      const gate = new Gate(/build/)
      assert.ok(gate.takes('/build'))
      gate.release('fail')
      assert.equal(await gate.wait(new AbortController().signal), 'fail')
      assert.ok(!gate.takes('/build'))
    })

    test('a build that its client gives up: it is aborted', async () => {
      const gate = docker.hold(/build/)
      const abort = new AbortController()
      const building = assert.rejects(build('shop:1', abort.signal))
      await gate.until()
      abort.abort()
      await building
      await until(() => docker.builds.aborted === 1)
      assert.equal(gate.waiting, 0)
      assert.equal(docker.image('shop:1'), null)
    })
  })

  describe('runs containers', () => {
    test('that answer as they are told', async () => {
      const address = await start('aa', { status: 503, body: 'ill' })
      const answer = await fetch(`http://${address}:8080/`)
      assert.deepEqual([answer.status, await answer.text()], [503, 'ill'])
      const silent = await start('bb', { listens: false })
      await assert.rejects(fetch(`http://${silent}:8080/`))
      const plain = await start('cc')
      assert.equal(await (await fetch(`http://${plain}:8080/`)).text(), 'web')
    })

    test('that end: at once, later, for want of memory', async () => {
      await start('aa', { exitCode: 4 })
      await until(() => docker.container('aa')?.exitCode === 4)
      await start('bb', { exitCode: 5, exitAfterMs: 200 })
      assert.equal(docker.container('bb')?.status, 'running')
      await until(() => docker.container('bb')?.exitCode === 5)
      await start('cc')
      await docker.crash('cc', 137, true)
      assert.equal((await port.findContainer('cc'))?.outOfMemory, true)
    })

    test('many at a time, each at its own address, and gives addresses out again', async () => {
      const addresses = await Promise.all(Array.from({ length: 300 }, (_, index) => start(`many-${index}`)))
      assert.equal(new Set(addresses).size, 300)
      await docker.remove('many-7')
      assert.equal(await start('another'), addresses[7])
    })
  })

  test('goes away and comes back with what it had', async () => {
    const address = await start('aa')
    await docker.down()
    await assert.rejects(port.ping(), InfrastructureError)
    await docker.up()
    assert.equal((await port.findContainer('aa'))?.address, address)
  })

  test('hangs: a question that nobody waits for any more does not stay open', async () => {
    const options = {
      dockerHost: docker.host,
      builder: 'auto' as const,
      buildSilenceMs: 10_000,
      ...UNLIMITED,
    }
    const quick = new Dockerode({ ...options, dockerTimeoutMs: 50 })
    docker.hang()
    const asked = docker.calls.length
    await assert.rejects(quick.findContainer('aa'), { code: 'DOCKER_UNREACHABLE' })
    const leave = new AbortController()
    const questions = [port.findContainer('aa', leave.signal), port.findImage('web', leave.signal)]
    const all = [...questions, port.rootFolder(leave.signal)].map((question) =>
      assert.rejects(question, /enough/),
    )
    await until(() => docker.calls.length === asked + 4)
    leave.abort(new Error('enough'))
    await Promise.all(all)
    // What the engine says of itself is for everybody who asks.
    await until(() => docker.connections <= 1)
  })

  test('starts again with its machine: what is kept running comes back, at other addresses', async () => {
    const before: string[] = []
    for (const name of ['aa', 'bb', 'cc']) before.push(await start(name))
    await port.keepRunning('aa', SIGNAL)
    await port.keepRunning('bb', SIGNAL)
    await docker.reboot()
    const after = ['aa', 'bb', 'cc'].map((name) => docker.container(name)?.endpoints[0]?.address)
    assert.deepEqual(after, [before[1], before[0], ''])
    assert.equal((await port.findContainer('cc'))?.exitCode, 137)
  })
}
