import assert from 'node:assert/strict'
import { createApp, deploy, followLog, graphql, readDeployment, updateStage } from './client.js'
import { docker } from './docker.js'
import { echoApp, Timeline, versioned } from './load.js'
import type { LoadOrder } from './load-process.js'
import { TestRepository } from './repository.js'
import { type Installation, until } from './server.js'

/** An app under load, whose deployments say when which version may be seen; and one that echoes WebSocket messages. */
export class Rollout implements AsyncDisposable {
  readonly timeline = new Timeline()

  private constructor(
    private readonly installation: Installation,
    private readonly repository: TestRepository,
    private readonly appIds: readonly [load: string, echo: string],
  ) {}

  /** Both apps serve; the one under load its version `first`. */
  static async open(installation: Installation, first: string): Promise<Rollout> {
    const { port } = installation
    using echo = new TestRepository(echoApp())
    const echoes = await createApp(port, { name: 'echo', repoUrl: echo.url })
    assert.equal((await followLog(port, echoes.deploymentId)).at(-1)?.end?.status, 'RUNNING')
    const repository = new TestRepository(versioned(first))
    const { appId } = await createApp(port, { name: 'load', repoUrl: repository.url, deploy: false })
    await updateStage(port, appId, { healthCheck: { path: '/health' } })
    const rollout = new Rollout(installation, repository, [appId, echoes.appId])
    await rollout.good(first)
    return rollout
  }

  /** Where load for both apps is sent to. */
  get order(): Pick<LoadOrder, 'port' | 'host' | 'echoHost'> {
    return { port: this.installation.routerPort, host: 'load.localhost', echoHost: 'echo.localhost' }
  }

  async good(version: string): Promise<string> {
    this.repository.commit(versioned(version))
    this.timeline.mayBegin(version)
    const { id, status } = await this.#deploy()
    assert.equal(status, 'RUNNING', `${version} does not run`)
    await this.#seen(version)
    return id
  }

  /** A version that does not come to serve. */
  async fails(files: Record<string, string>, code: string): Promise<void> {
    this.repository.commit(files)
    const { id } = await this.#deploy()
    const { status, error } = await readDeployment(this.installation.port, id)
    assert.deepEqual([status, error?.code], ['FAILED', code])
  }

  /** Serves, becomes unhealthy while it is watched, and traffic goes back to `before`. */
  async sickens(version: string, before: string): Promise<void> {
    const id = await this.good(version)
    this.timeline.mayBegin(before)
    docker('exec', `load-${id}`, 'busybox', 'rm', '/www/health')
    const { port } = this.installation
    await until(async () => (await readDeployment(port, id)).status === 'ROLLED_BACK')
    await this.#seen(before)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.appIds) {
      await graphql(this.installation.port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id })
    }
    this.repository[Symbol.dispose]()
  }

  async #deploy(): Promise<{ id: string; status: string | undefined }> {
    const { port } = this.installation
    const id = await deploy(port, this.appIds[0])
    return { id, status: (await followLog(port, id)).at(-1)?.end?.status }
  }

  async #seen(version: string): Promise<void> {
    const page = async () => (await this.installation.fetch('load.localhost')).body
    await until(async () => (await page()) === version, 5)
    this.timeline.confirmed(version)
  }
}
