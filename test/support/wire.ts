import { connect, createServer, type Server, type Socket } from 'node:net'

/** Counts whatever moves between the processes and the world, so that a test can tell when nothing does. */
export class Activity {
  count = 0
}

interface Line {
  readonly client: Socket
  readonly upstream: Socket
  /** What a stalled process has said and nobody has heard yet. */
  readonly held: Buffer[]
  readonly isFree: () => boolean
}

/** Where connections of a process end up: a host and port, or the path of a unix socket. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string }

/**
 * Stands between one simulated process and a server. `cut()` is the death of the process; `stall()` holds back what it
 * says from then on until `resume()`, as if it had been stopped and its words came late.
 *
 * Towards PostgreSQL it stalls between statements and never inside a transaction: the locks of one would stall the
 * whole test.
 */
export class Wire implements AsyncDisposable {
  readonly #lines = new Set<Line>()
  readonly #server: Server
  #state: 'up' | 'stalled' | 'cut' = 'up'

  private constructor(
    private readonly target: Target,
    private readonly isPostgres: boolean,
    private readonly activity: Activity,
  ) {
    this.#server = createServer((client) => this.#take(client))
  }

  static async open(target: Target, activity: Activity, at: { port: 0 } | { path: string }): Promise<Wire> {
    const wire = new Wire(target, 'port' in at, activity)
    await new Promise<void>((resolve, reject) => {
      const where = 'port' in at ? { ...at, host: '127.0.0.1' } : at
      wire.#server.once('error', reject).listen(where, resolve)
    })
    return wire
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  stall(): void {
    if (this.#state === 'up') this.#state = 'stalled'
  }

  resume(): void {
    if (this.#state !== 'stalled') return
    this.#state = 'up'
    for (const { upstream, held } of this.#lines) for (const bytes of held.splice(0)) upstream.write(bytes)
  }

  /** Connections break; new ones too, on the same address, so that nobody else gets it. */
  cut(): void {
    this.#state = 'cut'
    for (const { client, upstream } of this.#lines) {
      client.destroy()
      upstream.destroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #take(client: Socket): void {
    client.on('error', () => client.destroy())
    if (this.#state === 'cut') return void client.destroy()
    const upstream = connect(this.target)
    const statements = this.isPostgres ? new Statements() : null
    const line: Line = { client, upstream, held: [], isFree: () => statements?.isFree ?? true }
    this.#lines.add(line)
    upstream.on('error', () => upstream.destroy())
    client.on('data', (bytes) => {
      this.activity.count++
      if (this.#state === 'stalled' && (line.held.length > 0 || line.isFree()))
        return void line.held.push(bytes)
      statements?.asked()
      upstream.write(bytes)
    })
    upstream.on('data', (bytes) => {
      this.activity.count++
      statements?.answered(bytes)
      client.write(bytes)
    })
    const end = () => {
      this.#lines.delete(line)
      client.destroy()
      upstream.destroy()
    }
    client.on('close', end)
    upstream.on('close', end)
  }
}

/** Reads PostgreSQL's answers just far enough to know whether a statement or a transaction is under way. */
class Statements {
  isFree = false
  #header = Buffer.alloc(0)
  #skip = 0
  #isReady = false

  asked(): void {
    this.isFree = false
  }

  answered(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#skip > 0) {
        if (this.#isReady) this.isFree = bytes[at] === 'I'.charCodeAt(0)
        this.#isReady = false
        const step = Math.min(this.#skip, bytes.length - at)
        this.#skip -= step
        at += step
        continue
      }
      const taken = bytes.subarray(at, at + 5 - this.#header.length)
      this.#header = Buffer.concat([this.#header, taken])
      at += taken.length
      if (this.#header.length < 5) return
      this.#isReady = this.#header[0] === 'Z'.charCodeAt(0)
      this.#skip = this.#header.readUInt32BE(1) - 4
      this.#header = Buffer.alloc(0)
    }
  }
}
