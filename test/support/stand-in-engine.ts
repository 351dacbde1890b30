import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What a version is asked for answers. */
export interface VersionAnswer {
  readonly status?: number
  readonly body: string | object
}

/** As Docker 19.03 answers, in the fields that are read. */
export const DOCKER_19 = {
  Platform: { Name: 'Docker Engine - Community' },
  Components: [{ Name: 'Engine', Version: '19.03.15', Details: { ApiVersion: '1.40', Os: 'linux' } }],
  Version: '19.03.15',
  ApiVersion: '1.40',
  MinAPIVersion: '1.12',
  Os: 'linux',
  Arch: 'amd64',
}

/** `podman system service` of Debian 12, as it answered. */
export const PODMAN_4 = {
  Platform: { Name: 'linux/amd64/debian-12' },
  Components: [
    {
      Name: 'Podman Engine',
      Version: '4.3.1',
      Details: { APIVersion: '4.3.1', MinAPIVersion: '4.0.0', Os: 'linux' },
    },
    { Name: 'Conmon', Version: 'conmon version 2.1.6, commit: unknown', Details: { Package: 'Unknown' } },
    { Name: 'OCI Runtime (crun)', Version: 'crun version 1.8.1', Details: { Package: 'Unknown' } },
  ],
  Version: '4.3.1',
  ApiVersion: '1.41',
  MinAPIVersion: '1.24',
  Os: 'linux',
  Arch: 'amd64',
}

/** A program on a socket that says of itself what a test lets it say: for engines that no machine has. */
export class StandInEngine implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'longshore-stand-in-'))
  readonly socket = join(this.#folder, 'docker.sock')
  readonly host = `unix://${this.socket}`
  /** Paths that it was asked for. */
  readonly asked: string[] = []
  readonly #server: Server

  private constructor(answer: VersionAnswer) {
    this.#server = createServer((asked, response) => {
      this.asked.push(asked.url ?? '')
      const { status = 200, body } = asked.url === '/version' ? answer : { status: 404, body: 'not found' }
      response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  }

  static async start(answer: VersionAnswer): Promise<StandInEngine> {
    const engine = new StandInEngine(answer)
    engine.#server.listen(engine.socket)
    await once(engine.#server, 'listening')
    return engine
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    chmodSync(this.#folder, 0o700) // a test may have closed it
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
