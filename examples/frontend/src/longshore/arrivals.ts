import { ApolloLink, type Observable } from '@apollo/client'
import { tap } from 'rxjs'

/** An answer is compared with so many of the last changes. */
const KEPT = 200

/** What the change feed has brought of late. */
export class Arrivals {
  readonly #ids: string[] = []
  #count = 0

  add(id: string): void {
    this.#count++
    this.#ids.push(id)
    if (this.#ids.length > KEPT) this.#ids.shift()
  }

  get count(): number {
    return this.#count
  }

  /** Ids of what came after so many. */
  since(count: number): string[] {
    return count === this.#count ? [] : this.#ids.slice(count - this.#count)
  }
}

/**
 * Tells when an answer may be older than what the feed has brought while it was under way: an answer goes by HTTP and a
 * change by the socket, so that either can come first, and the older one would stay in the cache.
 */
export function createOvertakenLink(arrivals: Arrivals, onOvertaken: () => void): ApolloLink {
  return new ApolloLink((operation, forward): Observable<ApolloLink.Result> => {
    const { count } = arrivals
    return forward(operation).pipe(
      tap((result) => {
        const ids = arrivals.since(count)
        if (ids.length === 0) return
        const text = JSON.stringify(result.data ?? null)
        if (ids.some((id) => text.includes(`"${id}"`))) onOvertaken()
      }),
    )
  })
}
