import type { Page } from '../engine/queries.js'

/** A page as GraphQL's connections show it. */
export function toConnection<T>(page: Page<T>) {
  const cursors = page.rows.map((row) => page.cursor(row))
  return {
    edges: page.rows.map((node, index) => ({ cursor: cursors[index], node })),
    nodes: page.rows,
    pageInfo: {
      startCursor: cursors[0] ?? null,
      endCursor: cursors.at(-1) ?? null,
      hasPreviousPage: page.hasPreviousPage,
      hasNextPage: page.hasNextPage,
    },
    // Read only where it is selected: counting a long list costs more than its page.
    get totalCount() {
      return page.totalCount()
    },
  }
}
