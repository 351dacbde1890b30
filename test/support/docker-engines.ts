import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { isPausedError, missingNetwork } from '../../src/engine/docker/engine-messages.js'
import { ENGINE_HOST } from './docker.js'
import { type DockerAnswer, DockerHttp, fields, filters, strangeIn } from './docker-http.js'
import { FakeDocker } from './fake-docker/fake-docker.js'
import { type Generation, generationOf } from './fake-docker/generations.js'
import { writeTar } from './fake-docker/tar.js'
import { BASE_IMAGE } from './repository.js'

const NETWORK = 'longshore'
/** Names no cgroup that there is: a fake engine must not limit the builds of the real one. */
export const UNLIMITED = {
  buildMemoryBytes: 1024 ** 3,
  buildCpus: null,
  buildCgroup: 'longshore-test/none',
  concurrency: 1,
  onUnlimited: () => undefined,
}

/** An engine under test, real or fake, with what a test may make there. */
export class EngineUnderTest implements AsyncDisposable {
  readonly http: DockerHttp
  /** Unique; names and tags begin with it, labels have it as their value. */
  readonly mark: string

  constructor(
    readonly kind: 'real' | 'fake',
    readonly host: string,
    mark: string,
    private readonly fake: FakeDocker | null,
  ) {
    this.http = new DockerHttp(host)
    this.mark = mark
  }

  get labels(): Record<string, string> {
    return { contract: this.mark }
  }

  get labelFilter(): string {
    return filters({ label: [`contract=${this.mark}`] })
  }

  port(builder: 'classic' | 'buildkit'): Dockerode {
    return new Dockerode({
      dockerHost: this.host,
      builder,
      buildSilenceMs: 60_000,
      dockerTimeoutMs: 60_000,
      ...UNLIMITED,
    })
  }

  call(method: string, path: string, body?: object | Buffer): Promise<DockerAnswer> {
    return this.http.call(method, path, body)
  }

  async inspect(name: string): Promise<Record<string, unknown>> {
    return (await this.call('GET', `/containers/${name}/json`)).json()
  }

  /** What Longshore goes by in an answer: its status and, in the words of an error, what `engine-messages.ts` reads there. */
  said({ status, text }: DockerAnswer): object {
    if (status < 400) return { status }
    const { message } = JSON.parse(text) as { message: string }
    const network = missingNetwork(message)?.replace(this.mark, 'MARK')
    return { status, says: message !== '', paused: isPausedError(message), network }
  }

  /** A container of busybox that runs `script`. */
  create(
    name: string,
    script: string,
    options: {
      image?: string
      policy?: string
      labels?: object
      healthcheck?: object
      network?: string
      logConfig?: object
    } = {},
  ): Promise<DockerAnswer> {
    const { image = BASE_IMAGE, policy = 'no', network = NETWORK, labels, healthcheck, logConfig } = options
    return this.call('POST', `/containers/create?name=${encodeURIComponent(name)}`, {
      Image: image,
      Cmd: ['/bin/busybox', 'sh', '-c', script],
      Env: ['PORT=8080'],
      Labels: { ...this.labels, ...labels },
      Healthcheck: healthcheck,
      HostConfig: { NetworkMode: network, Init: true, RestartPolicy: { Name: policy }, LogConfig: logConfig },
    })
  }

  /** Builds an image from a Dockerfile; `version` 2 is BuildKit. */
  build(tag: string, dockerfile: string, version: '1' | '2' = '2', more = ''): Promise<DockerAnswer> {
    const labels = encodeURIComponent(JSON.stringify(this.labels))
    const query = `t=${tag}&version=${version}&rm=1&forcerm=1&labels=${labels}${more}`
    return this.call('POST', `/build?${query}`, writeTar({ Dockerfile: dockerfile }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const containers = await this.call('GET', `/containers/json?all=1&${this.labelFilter}`)
    for (const { Id } of containers.json<{ Id: string }[]>()) {
      await this.call('DELETE', `/containers/${Id}?force=1&v=1`)
    }
    const images = await this.call('GET', `/images/json?${this.labelFilter}`)
    for (const { Id } of images.json<{ Id: string }[]>()) await this.call('DELETE', `/images/${Id}?force=1`)
    await this.fake?.[Symbol.asyncDispose]()
  }
}

export interface Engines extends AsyncDisposable {
  readonly real: EngineUnderTest
  readonly fake: EngineUnderTest
  /** Does the same on both, one after the other. */
  onBoth<T>(work: (engine: EngineUnderTest) => Promise<T>): Promise<{ real: T; fake: T }>
  /** Fails unless both give the same. */
  same(work: (engine: EngineUnderTest) => Promise<unknown>): Promise<void>
  /** Fails if the fake's answer has a field that the real one's has not, or if `exact` or the types of `typed` differ. */
  alike(
    work: (engine: EngineUnderTest) => Promise<unknown>,
    exact: readonly string[],
    typed?: readonly string[],
  ): Promise<void>
}

/** Each engine that Longshore's port has to do the same on, by name, with what `openEngines` takes for it. */
export const EVERY_ENGINE = {
  'real engine': { kind: 'real', speaks: null },
  'fake engine of 20.10': { kind: 'fake', speaks: '20.10' },
  'fake engine of 29': { kind: 'fake', speaks: '29' },
} as const

/**
 * The real engine and a fake one; disposing removes what was made on either.
 *
 * @param speaks the fake's generation; null: the real one's
 */
export async function openEngines(speaks: Generation | null = null): Promise<Engines> {
  const mark = `contract-${randomBytes(4).toString('hex')}`
  const real = new EngineUnderTest('real', ENGINE_HOST, mark, null)
  const { Version } = (await real.call('GET', '/version')).json<{ Version: string }>()
  const docker = await FakeDocker.start(undefined, BASE_IMAGE, speaks ?? generationOf(Version))
  const fake = new EngineUnderTest('fake', docker.host, mark, docker)
  for (const engine of [real, fake]) {
    const found = await engine.call('GET', `/networks/${NETWORK}`)
    if (found.status === 404)
      await engine.call('POST', '/networks/create', { Name: NETWORK, CheckDuplicate: true })
  }
  const onBoth: Engines['onBoth'] = async (work) => ({ real: await work(real), fake: await work(fake) })
  return {
    real,
    fake,
    onBoth,
    same: async (work) => {
      const answers = await onBoth(work)
      assert.deepEqual(answers.fake, answers.real)
    },
    alike: async (work, exact, typed = []) => {
      const answers = await onBoth(work)
      assert.deepEqual(fields(answers.fake, exact, typed), fields(answers.real, exact, typed))
      assert.deepEqual(strangeIn(answers.fake, answers.real), [])
    },
    async [Symbol.asyncDispose]() {
      await real[Symbol.asyncDispose]()
      await fake[Symbol.asyncDispose]()
    },
  }
}
