import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { followBuild } from '../../src/engine/docker/build-stream.js'
import type { DeployError } from '../../src/engine/errors.js'
import { SILENT } from '../support/build-output.js'
import { type Engines, type EngineUnderTest, openEngines } from '../support/docker-engines.js'
import { type DockerAnswer, filters } from '../support/docker-http.js'
import { BASE_IMAGE } from '../support/repository.js'

const run = (script: string) => `RUN ${JSON.stringify(['/bin/busybox', 'sh', '-c', script])}\n`
const command = (script: string) => `CMD ${JSON.stringify(['/bin/busybox', 'sh', '-c', script])}\n`

/** An engine that does not begin a build says so by any status of an error. */
function refusal({ status, text }: DockerAnswer, named: string): object {
  const { message } = JSON.parse(text) as { message: string }
  return { refused: status >= 400, named: message.includes(named) }
}

/** Builds and images: what Longshore reads of the answers is the same on both engines. */
describe('the fake engine builds as the real one', () => {
  let engines: Engines
  before(async () => {
    engines = await openEngines()
  })
  after(() => engines[Symbol.asyncDispose]())

  const same: Engines['same'] = (work) => engines.same(work)
  for (const version of ['1', '2'] as const) {
    const name = version === '1' ? 'the classic builder' : 'BuildKit'
    const build = (engine: EngineUnderTest, dockerfile: string, more = '') =>
      engine.build(`${engine.mark}:built${version}${more.replace(/\W/g, '')}`, dockerfile, version, more)
    /** What Longshore makes of a build; an error has to name `named`. */
    const outcome = async (engine: EngineUnderTest, dockerfile: string, more = '', named = '') => {
      const answer = await build(engine, dockerfile, more)
      if (answer.status !== 200) return refusal(answer, named)
      const lines: string[] = []
      const output = { ...SILENT, line: (text: string) => void lines.push(text) }
      try {
        return {
          built: /^sha256:[0-9a-f]{64}$/.test(await followBuild(Readable.from([answer.body]), output)),
        }
      } catch (error) {
        const { code, message, exitCode, lastLines } = error as DeployError
        return { code, named: message.includes(named), exitCode, said: lastLines.includes('boo') }
      }
    }

    test(`${name} builds an image`, () =>
      same((engine) => outcome(engine, `FROM ${BASE_IMAGE}\n${run('echo step one')}EXPOSE 8080\n`)))

    test(`${name} fails with a step's exit code`, () =>
      same((engine) => outcome(engine, `FROM ${BASE_IMAGE}\n${run('echo boo; exit 7')}`)))

    test(`${name} fails with a step's exit code, whatever the step's words are`, async () => {
      const step = run(`: "exit code: 3" "returned a non-zero code: 4" not found; echo boo; exit 7`)
      const { real, fake } = await engines.onBoth((engine) => outcome(engine, `FROM ${BASE_IMAGE}\n${step}`))
      assert.deepEqual(
        [real, fake],
        Array(2).fill({ code: 'BUILD_FAILED', named: true, exitCode: 7, said: true }),
      )
    })

    test(`${name} refuses what is no Dockerfile`, () =>
      same((engine) => outcome(engine, 'FRUM x\n', '', 'FRUM')))

    test(`${name} refuses an empty Dockerfile`, () => same((engine) => outcome(engine, '')))

    test(`${name} refuses a name that is none`, () =>
      same(async (engine) =>
        refusal(await engine.build('UPPER:x', `FROM ${BASE_IMAGE}\n`, version), 'must be lowercase'),
      ))

    test(`${name} says that there is no such Dockerfile`, async () => {
      const { real, fake } = await engines.onBoth((engine) =>
        engine.build(`${engine.mark}:x`, `FROM ${BASE_IMAGE}\n`, version, '&dockerfile=Nope'),
      )
      for (const answer of [real, fake]) assert.match(answer.text, /Nope/)
      assert.equal(fake.status === 200, real.status === 200)
    })

    const stages = `FROM ${BASE_IMAGE} AS one\nARG WORD\n${run('echo said $WORD')}FROM ${BASE_IMAGE} AS two\n${run('exit 3')}`

    test(`${name} stops at the stage that is wanted`, () =>
      same((engine) => outcome(engine, stages, '&target=one')))

    test(`${name} says that there is no such stage`, () =>
      same((engine) => outcome(engine, stages, '&target=moon', 'moon')))

    test(`${name} gives a step the build's arguments`, async () => {
      const args = encodeURIComponent(JSON.stringify({ WORD: `x${engines.real.mark}` }))
      const { real, fake } = await engines.onBoth((engine) =>
        engine.build(`${engine.mark}:args${version}`, stages, version, `&target=one&buildargs=${args}`),
      )
      for (const { text } of [real, fake]) {
        const logs = [...text.matchAll(/"aux":"([^"]+)"/g)].map(([, aux = '']) => Buffer.from(aux, 'base64'))
        assert.ok(Buffer.concat([...logs, Buffer.from(text)]).includes(`said x${engines.real.mark}`))
      }
    })

    test(`${name} fails without its base image`, async () => {
      const { real, fake } = await engines.onBoth((engine) =>
        engine.build(`${engine.mark}:x`, 'FROM longshore-test/nope:x\n', version),
      )
      for (const { status, text } of [real, fake]) {
        assert.equal(status, 200)
        assert.match(text, /"errorDetail":\{"message":/)
      }
    })
  }

  test('what is said of an image', async () => {
    const health = 'HEALTHCHECK --interval=1s --retries=2 CMD ["/bin/busybox","true"]\n'
    const dockerfile = `FROM ${BASE_IMAGE}\nLABEL a=b\nENV X=y\nEXPOSE 8080 53/udp\n${health}${command('exit 0')}`
    const tag = `${engines.real.mark}:said`
    await engines.onBoth((engine) => engine.build(tag, dockerfile))
    const exact = [
      'RepoTags',
      'Os',
      'Config.Labels',
      'Config.ExposedPorts',
      'Config.Healthcheck',
      'Config.Cmd',
    ]
    await engines.alike(async (engine) => (await engine.call('GET', `/images/${tag}/json`)).json(), exact, [
      'Id',
      'Size',
      'Created',
      'Config.Env',
    ])
    const wanted = filters({ label: ['a=b', `contract=${engines.real.mark}`] })
    await engines.alike(
      async (engine) => (await engine.call('GET', `/images/json?${wanted}`)).json<object[]>()[0],
      ['RepoTags', 'Labels'],
      ['Id', 'Created', 'Size'],
    )
  })

  test('an image loses its names, and goes when nothing needs it', () =>
    same(async (engine) => {
      const tag = `${engine.mark}:life`
      await engine.build(tag, `FROM ${BASE_IMAGE}\nLABEL life=1\n`)
      const image = (await engine.call('GET', `/images/${tag}/json`)).json().Id as string
      const on = async (method: string, path: string) =>
        engine.said(await engine.call(method, `/images/${path}`))
      const tagged = await on('POST', `${tag}/tag?repo=${engine.mark}&tag=other`)
      const byId = await on('DELETE', image)
      const first = await on('DELETE', tag)
      await engine.create(`${engine.mark}-user`, 'busybox sleep 100', { image })
      await engine.call('POST', `/containers/${engine.mark}-user/start`)
      const refused = await on('DELETE', `${engine.mark}:other`)
      const forced = await on('DELETE', `${engine.mark}:other?force=true`)
      const nameless = await namesOf(engine, 'life=1')
      const inUse = [await on('DELETE', image), await on('DELETE', `${image}?force=1`)]
      const prune = `prune?${filters({ dangling: ['true'], label: [`contract=${engine.mark}`] })}`
      const kept = await on('POST', prune)
      await engine.call('POST', `/containers/${engine.mark}-user/stop?t=1`)
      const stopped = await on('DELETE', image)
      await engine.call('DELETE', `/containers/${engine.mark}-user`)
      const there = (await engine.call('GET', `/images/${image}/json`)).status
      const pruned = [await on('POST', prune), (await engine.call('GET', `/images/${image}/json`)).status]
      return [tagged, byId, first, refused, forced, nameless, inUse, kept, stopped, there, pruned]
    }))

  test('a name that is built again is the newer image’s alone', () =>
    same(async (engine) => {
      const tag = `${engine.mark}:twice`
      for (const nonce of [1, 2]) await engine.build(tag, `FROM ${BASE_IMAGE}\nLABEL twice=${nonce}\n`)
      const { Config } = (await engine.call('GET', `/images/${tag}/json`)).json<{
        Config: { Labels: object }
      }>()
      // Whether the older one is kept without a name is each engine's own affair.
      const named = (await namesOf(engine, 'twice')).filter((names) => names.length > 0)
      return [named, (Config.Labels as Record<string, string>).twice]
    }))
})

/** Of each image of this test with a label, without the mark, as Longshore reads them. */
async function namesOf(engine: EngineUnderTest, label: string): Promise<string[][]> {
  const wanted = filters({ label: [label, `contract=${engine.mark}`] })
  const found = (await engine.call('GET', `/images/json?${wanted}`)).json<{ RepoTags: string[] | null }[]>()
  return found.map(({ RepoTags }) =>
    (RepoTags ?? [])
      .filter((name) => !name.startsWith('<none>'))
      .map((name) => name.replace(engine.mark, '')),
  )
}
