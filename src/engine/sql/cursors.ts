import { badInput } from '../command-error.js'

/** Cursors of one list: what a page behind a row is asked for with. */
export class Cursors {
  /** @param key how a row's key looks, by which the list is ordered */
  constructor(
    private readonly list: string,
    private readonly key: RegExp,
  ) {}

  encode(key: string | number): string {
    return Buffer.from(`${this.list}:${key}`).toString('base64url')
  }

  /**
   * The key in a cursor that {@link encode} has given.
   *
   * @throws CommandError BAD_USER_INPUT `after` for anything else: taken silently it would begin at some other place
   */
  decode(cursor: string): string {
    const [list, key = ''] = Buffer.from(cursor, 'base64url').toString('utf8').split(':', 2)
    // Encoded once more: Node.js leaves out what is no base64.
    if (list === this.list && this.key.test(key) && this.encode(key) === cursor) return key
    throw badInput('after', 'is not a cursor of this list')
  }
}
