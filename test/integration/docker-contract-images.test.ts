import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Engines, type EngineUnderTest, openEngines } from '../support/docker-engines.js'
import { filters } from '../support/docker-http.js'
import { BASE_IMAGE } from '../support/repository.js'

const run = (script: string) => `RUN ${JSON.stringify(['/bin/busybox', 'sh', '-c', script])}\n`
const command = (script: string) => `CMD ${JSON.stringify(['/bin/busybox', 'sh', '-c', script])}\n`

/** Builds and images: the same calls on both engines. */
describe('the fake engine builds as the real one', () => {
  let engines: Engines
  before(async () => {
    engines = await openEngines()
  })
  after(() => engines[Symbol.asyncDispose]())

  const same: Engines['same'] = (work) => engines.same(work)
  for (const version of ['1', '2'] as const) {
    const name = version === '1' ? 'the classic builder' : 'BuildKit'
    /** Status, the words of an error, and what its messages are made of. */
    const outcome = async (engine: EngineUnderTest, dockerfile: string, more = '') => {
      const tag = `${engine.mark}:built${version}${more.replace(/\W/g, '')}`
      const answer = await engine.build(tag, dockerfile, version, more)
      if (answer.status !== 200) return engine.said(answer)
      const lines = answer.text
        .trim()
        .split('\n')
        .map(
          (line) =>
            JSON.parse(line) as { stream?: string; id?: string; errorDetail?: object; error?: string },
        )
      const kinds = new Set(lines.map((line) => `${Object.keys(line).sort().join()} ${line.id ?? ''}`))
      const last = lines.at(-1)
      const words = last?.errorDetail ?? last?.stream?.replace(engine.mark, 'MARK')
      return { status: 200, type: answer.type, kinds: [...kinds].sort(), words }
    }

    test(`${name} builds an image`, () =>
      same((engine) => outcome(engine, `FROM ${BASE_IMAGE}\n${run('echo step one')}EXPOSE 8080\n`)))

    test(`${name} fails with a step's exit code`, () =>
      same((engine) => outcome(engine, `FROM ${BASE_IMAGE}\n${run('echo boo; exit 7')}`)))

    test(`${name} refuses what is no Dockerfile`, () => same((engine) => outcome(engine, 'FRUM x\n')))

    test(`${name} refuses an empty Dockerfile`, () => same((engine) => outcome(engine, '')))

    test(`${name} refuses a name that is none`, () =>
      same(async (engine) => engine.said(await engine.build('UPPER:x', `FROM ${BASE_IMAGE}\n`, version))))

    test(`${name} says that there is no such Dockerfile`, async () => {
      const { real, fake } = await engines.onBoth((engine) =>
        engine.build(`${engine.mark}:x`, `FROM ${BASE_IMAGE}\n`, version, '&dockerfile=Nope'),
      )
      assert.equal(fake.status, real.status)
      for (const answer of [real, fake]) assert.match(answer.text, /Nope/)
    })

    const stages = `FROM ${BASE_IMAGE} AS one\nARG WORD\n${run('echo said $WORD')}FROM ${BASE_IMAGE} AS two\n${run('exit 3')}`

    test(`${name} stops at the stage that is wanted`, () =>
      same((engine) => outcome(engine, stages, '&target=one')))

    test(`${name} says that there is no such stage`, () =>
      same((engine) => outcome(engine, stages, '&target=moon')))

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
      ['RepoTags', 'Labels', 'RepoDigests', 'Containers'],
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
      const labelled = filters({ label: ['life=1', `contract=${engine.mark}`] })
      const dangling = (await engine.call('GET', `/images/json?${labelled}`))
        .json<{ RepoTags: string[]; RepoDigests: string[] }[]>()
        .map(({ RepoTags, RepoDigests }) => [RepoTags, RepoDigests])
      const inUse = [await on('DELETE', image), await on('DELETE', `${image}?force=1`)]
      const prune = `prune?${filters({ dangling: ['true'], label: [`contract=${engine.mark}`] })}`
      const kept = await on('POST', prune)
      await engine.call('POST', `/containers/${engine.mark}-user/stop?t=1`)
      const stopped = await on('DELETE', image)
      await engine.call('DELETE', `/containers/${engine.mark}-user`)
      return [tagged, byId, first, refused, forced, dangling, inUse, kept, stopped, await on('POST', prune)]
    }))

  test('a name that is built again leaves the older image without one', () =>
    same(async (engine) => {
      const tag = `${engine.mark}:twice`
      for (const nonce of [1, 2]) await engine.build(tag, `FROM ${BASE_IMAGE}\nLABEL twice=${nonce}\n`)
      const found = await engine.call(
        'GET',
        `/images/json?${filters({ label: ['twice', `contract=${engine.mark}`] })}`,
      )
      return found
        .json<{ RepoTags: string[] }[]>()
        .map(({ RepoTags }) => RepoTags.join().replace(engine.mark, ''))
        .sort()
    }))
})
