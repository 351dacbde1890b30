import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { engineAddress } from '../../src/engine/docker/engine-address.js'
import { ENGINE_HOST } from './docker.js'

/** The real Docker engine behind a socket that a test can take away, let hang, and give back. */
export class DockerProxy implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'longshore-docker-'))
  readonly host = `unix://${join(this.#folder, 'docker.sock')}`
  readonly #sockets = new Set<Socket>()
  #server: Server | null = null
  #hangs = false

  async up(): Promise<void> {
    this.#hangs = false
    if (this.#server) return
    const server = createServer((client) => this.#forward(client))
    await new Promise<void>((resolve) => server.listen(join(this.#folder, 'docker.sock'), resolve))
    this.#server = server
  }

  /** Connections break and new ones are refused. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()))
  }

  /** New connections are taken and never answered. */
  hang(): void {
    this.#hangs = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #forward(client: Socket): void {
    this.#keep(client)
    if (this.#hangs) return
    const address = engineAddress(ENGINE_HOST)
    if (!address) throw new Error(`no engine can be at ${ENGINE_HOST}`)
    const engine = 'socketPath' in address ? connect(address.socketPath) : connect(address)
    this.#keep(engine)
    client.pipe(engine).pipe(client)
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
