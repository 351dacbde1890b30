import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readConfig } from '../../src/config.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import { createGitBinary } from '../../src/engine/git/git-binary.js'
import { NoRouter } from '../../src/engine/routing/router.js'
import { SecretBox } from '../../src/engine/secrets/secrets.js'
import { rollBackAutomatically } from '../../src/engine/traffic/automatic-rollback.js'
import type { Services } from '../../src/engine/services.js'
import { createLogger } from '../../src/logger.js'
import { webApp } from './repository.js'
import type { Scene } from './scene.js'
import { until } from './server.js'

/** No worker is up: an app's second version serves and is watched, the one before it runs and waits for its drain. */
export interface Replacement {
  readonly before: string
  readonly failed: string
  readonly services: Services
  /** Tries to send traffic back to the version before. */
  readonly back: () => Promise<boolean>
  readonly isBack: () => Promise<void>
}

export async function replaced(scene: Scene, more = ''): Promise<Replacement> {
  const worker = await scene.workerHere()
  const { app, deploymentId: before } = await scene.serving('steady')
  await worker[Symbol.asyncDispose]()
  const { Dockerfile = '', ...page } = webApp('second')
  scene.repository.commit({ ...page, Dockerfile: `${Dockerfile}${more}\n` })
  const dying = await scene.worker({ FAILPOINT: 'before:drain', WATCH_SECONDS: '600' })
  const failed = await scene.deploy(app)
  await until(() => dying.child.signalCode === 'SIGKILL')
  const services = await servicesOf(scene)
  const failure = { code: 'EXITED' as const, why: 'it failed', container: `steady-${failed}`, exitCode: null }
  const back = () => rollBackAutomatically({ id: failed, failure }, services, new AbortController().signal)
  return {
    ...{ before, failed, services, back },
    isBack: async () => {
      await until(async () => {
        await back()
        return (await scene.deployment(failed)).status === 'ROLLED_BACK'
      })
      assert.equal((await scene.deployment(before)).status, 'RUNNING')
      assert.equal(await scene.askContainer(app), 'first')
    },
  }
}

export async function servicesOf(scene: Scene): Promise<Services> {
  const { docker, installation, own } = scene
  const config = readConfig({ DOCKER_HOST: docker.host, DATA_DIR: installation.dataDir })
  const [instance] = await scene.rows<{ id: string }>('SELECT id FROM instance')
  return {
    ...{ database: own.database, wakeups: own.wakeups, router: new NoRouter() },
    ...{ secrets: new SecretBox(randomBytes(32)), logger: createLogger('error') },
    git: createGitBinary({
      ...config,
      timeoutMs: config.cloneTimeoutMs,
      silenceMs: config.fetchSilenceMs,
    }),
    docker: new Dockerode({ ...config, dockerHost: docker.host, onUnlimited: () => undefined }),
    failpoint: () => undefined,
    settings: { ...config, instanceId: instance?.id ?? '' },
  }
}
