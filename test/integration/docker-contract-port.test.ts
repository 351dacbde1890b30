import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BuildOutput, BuildRequest, ContainerRequest } from '../../src/engine/docker/docker.js'
import { DeployError } from '../../src/engine/errors.js'
import { SILENT } from '../support/build-output.js'
import { type Engines, type EngineUnderTest, EVERY_ENGINE, openEngines } from '../support/docker-engines.js'
import { filesContext } from '../support/build-files.js'
import { BASE_IMAGE, webApp } from '../support/repository.js'
import { until } from '../support/server.js'

const PLAIN = { noCache: false, target: null, args: {}, platform: null, secrets: new Map<string, string>() }
const SIGNAL = new AbortController().signal
/** Nothing has happened to it. */
const QUIET = {
  ...{ outOfMemory: false, restarts: 0, paused: false, keptRunning: false },
  ...{ health: null, healthCheck: null },
}

/** Longshore's own port does the same on the real engine and on the fake. */
for (const [name, { kind, speaks }] of Object.entries(EVERY_ENGINE)) {
  describe(`the Docker port on the ${name}`, () => {
    let engines: Engines
    let engine: EngineUnderTest
    const written: string[] = []
    const output: BuildOutput = {
      ...SILENT,
      line: (text) => void written.push(text),
      bytes: ({ source, bytes }) => Promise.resolve(void written.push(`${source} ${bytes.toString()}`)),
    }
    before(async () => {
      engines = await openEngines(speaks)
      engine = engines[kind]
    })
    after(() => engines[Symbol.asyncDispose]())

    const docker = (builder: 'classic' | 'buildkit' = 'buildkit') => engine.port(builder)
    const tag = (name: string) => `${engine.mark}:${name}`

    function build(
      name: string,
      files: Record<string, string>,
      builder: 'classic' | 'buildkit' = 'buildkit',
      options: Partial<BuildRequest> = {},
    ) {
      const context = filesContext(files)
      const request = {
        context,
        dockerfile: 'Dockerfile',
        tag: tag(name),
        labels: engine.labels,
        ...PLAIN,
      }
      return docker(builder).build({ ...request, output, ...options }, SIGNAL)
    }

    const request = (name: string, image: string): ContainerRequest => ({
      name: `${engine.mark}-${name}`,
      image,
      ...{ command: null, env: ['PORT=8080'] },
      labels: { ...engine.labels, 'longshore.epoch': '1', name },
      memoryBytes: 64 * 1024 * 1024,
      cpus: 0.5,
      pids: 50,
    })

    const script = (text: string) => ({
      Dockerfile: `FROM ${BASE_IMAGE}\nCMD ${JSON.stringify(['/bin/busybox', 'sh', '-c', text])}\n`,
    })
    test('answers a ping', async () => {
      assert.match(await docker().ping(), /^\d+\.\d+/)
    })

    for (const builder of ['buildkit', 'classic'] as const) {
      test(`builds with ${builder}, and tells what a step writes`, async () => {
        written.length = 0
        const image = await build(
          builder,
          webApp('hello', [`: ${engine.mark}${builder}; echo step one`]),
          builder,
        )
        assert.match(image.id, /^sha256:[0-9a-f]{64}$/)
        assert.deepEqual(image.exposedPorts, [8080])
        assert.equal(image.labels.contract, engine.mark)
        assert.ok(written.includes('STDOUT step one\n'), written.join('|'))
        assert.deepEqual(await docker().findImage(tag(builder)), image)
      })

      test(`gives a failing step's exit code and last lines with ${builder}`, async () => {
        const files = webApp('x', [`: ${engine.mark}; echo boo; exit 7`])
        await assert.rejects(build('fails', files, builder), (error) => {
          assert.ok(error instanceof DeployError)
          assert.equal(error.code, 'BUILD_FAILED')
          assert.equal(error.exitCode, 7)
          assert.ok(error.lastLines.includes('boo'), error.lastLines.join('|'))
          return true
        })
        assert.equal(await docker().findImage(tag('fails')), null)
      })

      test(`says that a Dockerfile cannot be read, with ${builder}`, () =>
        assert.rejects(build('parse', { Dockerfile: 'FRUM x\n' }, builder), /unknown instruction: FRUM/))
    }

    test('builds a stage with arguments, and says that there is no such stage', async () => {
      const { Dockerfile = '' } = webApp('x')
      const files = { ...webApp('x'), Dockerfile: `${Dockerfile.replace('\n', ' AS one\n')}FROM nope:x\n` }
      assert.ok(await build('target', files, 'buildkit', { target: 'one', args: { WORD: 'a b&c="d"' } }))
      await assert.rejects(build('target', files, 'buildkit', { target: 'moon' }), /moon/)
      await assert.rejects(build('target', files, 'classic', { target: 'moon' }), /moon/)
    })

    test('refuses build secrets with the classic builder, before anything is built', () =>
      assert.rejects(build('secret', webApp('x'), 'classic', { secrets: new Map([['KEY', 'value']]) }), {
        code: 'BUILD_SECRETS_NEED_BUILDKIT',
      }))

    test('stops a build that is aborted', async () => {
      const abort = new AbortController()
      const context = filesContext(webApp('x', [`: ${engine.mark}; echo begun; sleep 30`]))
      const wanted = { context, dockerfile: 'Dockerfile', tag: tag('aborted'), labels: {}, ...PLAIN }
      written.length = 0
      const building = docker().build({ ...wanted, output }, abort.signal)
      building.catch(() => undefined)
      await until(() => written.some((text) => text.includes('begun')))
      abort.abort(new Error('enough'))
      await assert.rejects(building, /enough/)
      assert.equal(await docker().findImage(tag('aborted')), null)
    })

    async function run(wanted: ContainerRequest): Promise<void> {
      await docker().createContainer(wanted, SIGNAL)
      await docker().startContainer(wanted.name, SIGNAL)
    }

    test('starts a container, adopts it when it is asked for again, and removes it', async () => {
      const { id } = await build('web', webApp('hello'))
      const wanted = request('web', id)
      await run(wanted)
      const first = await engine.inspect(wanted.name)
      await run(wanted)
      assert.equal((await engine.inspect(wanted.name)).Id, first.Id)
      const found = await docker().findContainer(wanted.name)
      assert.ok(found?.address)
      assert.deepEqual({ ...found, address: '' }, { ...QUIET, running: true, exitCode: 0, address: '' })
      const page = () => fetch(`http://${found.address}:8080/`).then((answer) => answer.text())
      assert.equal(await until(() => page().catch(() => null)), 'hello')
      await docker().keepRunning(wanted.name, SIGNAL)
      assert.match(JSON.stringify(await engine.inspect(wanted.name)), /"Name":"unless-stopped"/)
      assert.equal((await docker().findContainer(wanted.name))?.keptRunning, true)
      await docker().removeContainer(wanted.name, 1)
      assert.equal(await docker().findContainer(wanted.name), null)
    })

    test('replaces a container of the same name that is of another image or label', async () => {
      const [one, two] = [await build('web', webApp('one')), await build('web2', webApp('two'))]
      const wanted = request('replaced', one.id)
      await run(wanted)
      const first = await engine.inspect(wanted.name)
      await run({ ...wanted, image: two.id })
      const second = await engine.inspect(wanted.name)
      assert.notEqual(second.Id, first.Id)
      await run({ ...wanted, image: two.id, labels: { ...wanted.labels, another: 'label' } })
      assert.notEqual((await engine.inspect(wanted.name)).Id, second.Id)
      await docker().removeContainer(wanted.name, 1)
    })

    test('gives an image one more name, which goes without the image', async () => {
      const { id } = await build('named', script('exit 0'))
      assert.equal(await docker().tagImage(id, tag('renamed')), true)
      assert.equal(await docker().tagImage(`sha256:${'0'.repeat(64)}`, tag('other')), false)
      assert.equal((await docker().findImage(tag('renamed')))?.id, id)
      await docker().removeImage(tag('named'))
      assert.equal((await docker().findImage(id))?.id, id)
      await docker().removeImage(tag('renamed'))
      assert.equal(await docker().findImage(id), null)
    })

    test('tells what happens to containers with a label, and nothing of others', async () => {
      const { id } = await build('web', webApp('hello'))
      const abort = new AbortController()
      const events = await docker().containerEvents('told=yes', abort.signal)
      const other = request('other', id)
      const told = { ...request('told', id), labels: { ...engine.labels, told: 'yes' } }
      await run(other)
      await run(told)
      await docker().removeContainer(other.name, 0)
      await docker().removeContainer(told.name, 0)
      const actions: string[] = []
      for await (const event of events) {
        assert.equal(event.name, told.name)
        actions.push(event.action)
        if (event.action === 'destroy') break
      }
      abort.abort()
      for (const action of ['create', 'start', 'die']) assert.ok(actions.includes(action), actions.join())
    })
    test('says where the engine keeps its data', async () => assert.match(await docker().rootFolder(), /^\//))

    test('tells of a container that ended, with its code and last lines', async () => {
      const { id } = await build('ends', script('echo one; echo two >&2; echo three; exit 3'))
      const wanted = request('ends', id)
      await run(wanted)
      const ended = await until(async () => {
        const state = await docker().findContainer(wanted.name)
        return state?.running ? null : state
      })
      assert.deepEqual(ended, { ...QUIET, running: false, exitCode: 3, address: null })
      assert.deepEqual((await docker().lastLines(wanted.name, 10)).sort(), ['one', 'three', 'two'])
      assert.equal((await docker().lastLines(wanted.name, 2)).length, 2)
      await docker().removeContainer(wanted.name, 1)
    })

    test('tells how a container ended that runs again', async () => {
      const { id } = await build('again', script('sleep 1; exit 3'))
      const wanted = request('again', id)
      await run(wanted)
      assert.equal(await docker().lastExit(wanted.name), null)
      await docker().keepRunning(wanted.name, SIGNAL)
      await until(async () => ((await docker().findContainer(wanted.name))?.restarts ?? 0) > 0)
      assert.deepEqual(await docker().lastExit(wanted.name), { exitCode: 3, outOfMemory: false })
      await docker().removeContainer(wanted.name, 1)
    })

    test('lists containers by label', async () => {
      const { id } = await build('web', webApp('hello'))
      const wanted = request('listed', id)
      await run(wanted)
      const [found, ...more] = await docker().listContainers('name=listed')
      assert.deepEqual([found?.name, more], [wanted.name, []])
      assert.equal(found?.labels.contract, engine.mark)
      assert.ok(found?.running && found.address)
      await docker().removeContainer(wanted.name, 1)
      assert.deepEqual(await docker().listContainers('name=listed'), [])
    })
    test('what is missing counts as done, or is null', async () => {
      await docker().removeContainer('nope', 1)
      await docker().removeImage('nope:x')
      assert.equal(await docker().findContainer('nope'), null)
      assert.equal(await docker().findImage('nope:x'), null)
      assert.deepEqual(await docker().lastLines('nope', 5), [])
      await assert.rejects(docker().keepRunning('nope', SIGNAL), /No such container/)
    })

    test('refuses an image that is not there, and more processors than there are', async () => {
      await assert.rejects(docker().createContainer(request('none', 'nope:x'), SIGNAL), /No such image/)
      const { id } = await build('cpus', webApp('x'))
      const many = docker().createContainer({ ...request('cpus', id), cpus: 4096 }, SIGNAL)
      await assert.rejects(many, { code: 'START_FAILED', message: /CPUs/ })
    })

    test('lists and removes images', async () => {
      await build('listed', script('exit 0'))
      const listed = await docker().listImages(`contract=${engine.mark}`)
      assert.ok(listed.some(({ names }) => names.includes(tag('listed'))))
      await docker().removeImage(tag('listed'))
      assert.equal(await docker().findImage(tag('listed')), null)
    })
    test('prunes the build cache', () => docker().pruneBuildCache(1e12))
  })
}
