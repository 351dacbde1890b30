import { type FieldPolicy, InMemoryCache, type Reference } from '@apollo/client'

/** A page of a list as the cache stores it. */
interface Page {
  readonly nodes?: readonly Reference[]
  readonly pageInfo?: { readonly hasNextPage?: boolean; readonly endCursor?: string | null } | undefined
}

/** A cache that knows Longshore's lists, and which objects are one. */
export function createCache(): InMemoryCache {
  return new InMemoryCache({
    typePolicies: {
      Query: {
        fields: {
          apps: pages(['search']),
          deployments: pages(['filter']),
          // A screen shows at once what a list has brought already.
          app: { read: (known, { args, toReference }) => known ?? byId('App', args, toReference) },
          deployment: {
            read: (known, { args, toReference }) => known ?? byId('Deployment', args, toReference),
          },
        },
      },
      App: { fields: { deployments: pages(['stage']) } },
      // Their `id` is that of what changed.
      Change: { keyFields: false },
    },
  })
}

type ToReference = (object: { __typename: string; id: string }) => Reference | undefined

function byId(typename: string, args: Record<string, unknown> | null, toReference: ToReference) {
  return typeof args?.id === 'string' ? toReference({ __typename: typename, id: args.id }) : undefined
}

/** All pages of a list that were fetched, as one. */
function pages(keyArgs: string[]): FieldPolicy<Page> {
  return { keyArgs, merge: (known, page, { args }) => merge(known, page, Boolean(args?.after)) }
}

/** A first page that is fetched again goes in front of the pages that follow it, unless it no longer meets them. */
function merge(known: Page | undefined, page: Page, isFurther: boolean): Page {
  const [before, now] = [known?.nodes ?? [], page.nodes ?? []]
  if (isFurther) return { ...page, nodes: [...before, ...without(now, before)] }
  const last = now.at(-1)
  const place = before.findIndex((node) => node.__ref === last?.__ref)
  const rest = place < 0 ? [] : without(before.slice(place + 1), now)
  return rest.length === 0 ? page : { ...page, nodes: [...now, ...rest], pageInfo: known?.pageInfo }
}

function without(nodes: readonly Reference[], others: readonly Reference[]): Reference[] {
  const known = new Set(others.map((node) => node.__ref))
  return nodes.filter((node) => !known.has(node.__ref))
}
