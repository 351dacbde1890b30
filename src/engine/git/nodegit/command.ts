import type { Invocation } from './invocation.js'
import type { Nodegit, Repository } from './library.js'

/** What a command works with. */
export interface Context {
  readonly nodegit: Nodegit
  readonly invocation: Invocation
  /** Protocols that may be used, as in git's GIT_ALLOW_PROTOCOL. */
  readonly protocols: readonly string[]
  /** Resolves when more may be written: nothing piles up where nobody reads. */
  readonly write: (bytes: Buffer | string) => Promise<void>
  /** Says something of a transfer. */
  readonly say: (text: string) => void
  /** Opens the repository that the invocation names. */
  readonly open: () => Promise<Repository>
}

/** Does what one of git's commands does. @throws Fatal */
export type Command = (context: Context) => Promise<void>

/** Ends the program with what git would say: `fatal:` and a message, after what `before` has. */
export class Fatal extends Error {
  override name = 'Fatal'

  constructor(
    message: string,
    private readonly before: readonly string[] = [],
  ) {
    super(message)
  }

  get lines(): string {
    return [...this.before, `fatal: ${this.message}`].join('\n')
  }
}
