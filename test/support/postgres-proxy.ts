import { connect, createServer, type Server, type Socket } from 'node:net'

/** What a session of a client is cut at. */
export interface CutOptions {
  /** Of what the client sends: `/^COMMIT/` cuts a commit. */
  readonly statement: RegExp
  /** Something that the same session sent since its last BEGIN; default: anything. */
  readonly after?: RegExp
  /** Of the server's answer, `/UPDATE 1/`: one that does not match is passed on. Default: any. */
  readonly answer?: RegExp
  readonly times?: number
}

/** One who waits to cut. */
export interface Cut {
  hits: number
  left: number
  readonly options: CutOptions
}

interface Session {
  readonly client: Socket
  readonly server: Socket
  /** What the client sent since its last BEGIN. */
  sent: string
  /** As its start-up message has it. */
  name: string
  /** Who cuts it when the statement under way is answered. */
  cut: Cut | null
  /** That answer, as far as it is here. */
  answer: Buffer
  dead: boolean
}

/** A PostgreSQL behind a port that a test can stop, cut, and make deaf. */
export class PostgresProxy implements AsyncDisposable {
  readonly #sessions = new Set<Session>()
  readonly #cuts: Cut[] = []
  /** Names of all sessions so far. */
  readonly opened: string[] = []
  #paused = false
  #deaf = false

  private constructor(
    private readonly target: URL,
    private readonly server: Server,
    readonly url: string,
  ) {
    server.on('connection', (client: Socket) => this.#forward(client))
  }

  static async start(databaseUrl: string): Promise<PostgresProxy> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const url = new URL(databaseUrl)
    url.hostname = '127.0.0.1'
    url.port = String(typeof address === 'object' && address ? address.port : 0)
    return new PostgresProxy(new URL(databaseUrl), server, url.href)
  }

  /** Names of the sessions that are open. */
  get names(): string[] {
    return [...this.#sessions].map(({ name }) => name)
  }

  /** Nothing passes in either direction, and new connections are taken without an answer, until `resume`. */
  pause(): void {
    this.#paused = true
    for (const session of this.#sessions) this.#hold(session)
  }

  resume(): void {
    this.#paused = false
    for (const { client, server, dead } of this.#sessions) {
      if (dead) continue
      client.resume()
      server.resume()
    }
  }

  /** Breaks all connections. */
  cutAll(): void {
    for (const session of this.#sessions) close(session)
  }

  /** Sessions with such a name are half-open from now on: they stay, and nothing passes any more. */
  freeze(name: RegExp): number {
    const found = [...this.#sessions].filter((session) => name.test(session.name) && !session.dead)
    for (const session of found) session.dead = true
    return found.length
  }

  /** Who listens from now on hears nothing. */
  deafen(): void {
    this.#deaf = true
  }

  /** Lets a statement be carried out, and breaks its connection before the answer. */
  cutAfter(options: CutOptions): Cut {
    const cut = { hits: 0, left: options.times ?? 1, options }
    this.#cuts.push(cut)
    return cut
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve))
    this.cutAll()
    await closed
  }

  #forward(client: Socket): void {
    const server = connect(Number(this.target.port) || 5432, this.target.hostname)
    const answer = Buffer.alloc(0)
    const session: Session = { client, server, sent: '', name: '', cut: null, answer, dead: false }
    this.#sessions.add(session)
    for (const socket of [client, server]) {
      socket.setNoDelay()
      socket.on('error', () => close(session))
      socket.on('close', () => {
        close(session)
        this.#sessions.delete(session)
      })
    }
    client.on('data', (bytes: Buffer) => this.#fromClient(session, bytes))
    server.on('data', (bytes: Buffer) => fromServer(session, bytes))
    if (this.#paused) this.#hold(session)
  }

  #hold({ client, server }: Session): void {
    client.pause()
    server.pause()
  }

  #fromClient(session: Session, bytes: Buffer): void {
    if (session.dead) return
    const text = bytes.toString('latin1')
    if (session.name === '') {
      session.name = /application_name\0([^\0]*)/.exec(text)?.[1] ?? ''
      this.opened.push(session.name)
    }
    if (/\b(BEGIN|START TRANSACTION)\b/.test(text)) session.sent = ''
    session.sent = (session.sent + text).slice(-100_000)
    session.cut ??=
      this.#cuts.find(
        ({ left, options }) =>
          left > 0 && options.statement.test(text) && (options.after?.test(session.sent) ?? true),
      ) ?? null
    // Same length, so that the message stays whole.
    const said = this.#deaf
      ? Buffer.from(text.replace('LISTEN longshore', 'LISTEN longdeaf_'), 'latin1')
      : bytes
    session.server.write(said)
  }
}

function fromServer(session: Session, bytes: Buffer): void {
  const { cut, client } = session
  if (session.dead) return
  if (!cut) return void client.write(bytes)
  session.answer = Buffer.concat([session.answer, bytes])
  // Ready for the next query: what was sent has been carried out, and committed.
  if (bytes.at(-6) !== 'Z'.charCodeAt(0)) return
  if (cut.left > 0 && (cut.options.answer?.test(session.answer.toString('latin1')) ?? true)) {
    cut.left--
    cut.hits++
    return close(session)
  }
  client.write(session.answer)
  session.answer = Buffer.alloc(0)
  session.cut = null
}

function close({ client, server }: Session): void {
  client.destroy()
  server.destroy()
}
