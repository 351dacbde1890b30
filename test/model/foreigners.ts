import assert from 'node:assert/strict'
import type { FakeContainer, FakeDocker, FakeImage } from '../support/fake-docker/fake-docker.js'
import { DockerHttp } from '../support/docker-http.js'

const IMAGE = 'mvp-app-1-0:foreign'
const LABELS: readonly Record<string, string>[] = [
  { 'longshore.instance': 'another', 'longshore.app': 'theirs', 'longshore.deployment': 'theirs' },
  {},
]

/** I6: containers and images of others on the same Docker engine, with names like ours. Nobody may touch them. */
export class Foreigners {
  readonly #containers: FakeContainer[] = []
  #image: FakeImage | null = null

  constructor(private readonly docker: FakeDocker) {}

  /** Removes all that is not theirs, and plants what is. */
  async restore(): Promise<void> {
    const { docker } = this
    const isTheirs = (container: FakeContainer) => this.#containers.includes(container)
    for (const container of [...docker.containers.values()]) {
      if (!isTheirs(container)) await docker.remove(container.id)
    }
    for (const image of [...docker.images.values()]) {
      const isKept = image === this.#image || image.tags.some((tag) => tag.startsWith('longshore-test/'))
      if (!isKept) docker.images.delete(image.id)
    }
    if (this.#image === null) await this.#plant()
  }

  async #plant(): Promise<void> {
    const { docker } = this
    this.#image = docker.addImage(IMAGE, { labels: LABELS[0], cmd: ['/bin/busybox', 'httpd', '-p', '8080'] })
    const http = new DockerHttp(docker.host)
    for (const [index, Labels] of LABELS.entries()) {
      const name = `app-1-0-foreign${index}`
      const HostConfig = { NetworkMode: 'bridge', Init: true, RestartPolicy: { Name: 'always' } }
      await http.call('POST', `/containers/create?name=${name}`, { Image: IMAGE, Labels, HostConfig })
      await http.call('POST', `/containers/${name}/start`)
      const container = docker.container(name)
      assert.ok(container)
      this.#containers.push(container)
    }
  }

  check(): void {
    const { containers, images } = this.docker
    for (const container of this.#containers) {
      const isWell = containers.get(container.id) === container && container.status === 'running'
      assert.ok(isWell && !container.manuallyStopped, `I6: ${container.name} of somebody else was touched`)
      assert.deepEqual(container.hostConfig.RestartPolicy, { Name: 'always', MaximumRetryCount: 0 })
    }
    const image = this.#image
    const isThere = image && images.get(image.id) === image && image.tags.includes(IMAGE)
    assert.ok(isThere, `I6: ${IMAGE} of somebody else was touched`)
  }
}
