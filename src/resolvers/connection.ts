import type { Page } from '../engine/queries.js'

/** A page as GraphQL's connections show it. */
export function toConnection<T>(page: Page<T>) {
  const last = page.rows.at(-1)
  return {
    edges: page.rows.map((node) => ({ cursor: page.cursor(node), node })),
    nodes: page.rows,
    pageInfo: { endCursor: last === undefined ? null : page.cursor(last), hasNextPage: page.hasNextPage },
    // Read only where it is selected: counting a long list costs more than its page.
    get totalCount() {
      return page.totalCount()
    },
  }
}
