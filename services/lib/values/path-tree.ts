// A list of paths as a tree. Names that differ in case only are one name, as in many file systems. Adding a path takes one step
// for each of its segments, however many and deep the other paths are.

interface Node {
  /** The number of the node, which its children refer to. */
  number: number
  /** The index of the path that ends here. */
  file?: number
  /** The index of the first path that passes through or ends here. */
  first: number
}

/** `same`: both paths are one file. `below`: the new path lies below the other one, which is a file. `above`: the other path
 * lies below the new one. */
export interface PathConflict {
  kind: 'same' | 'below' | 'above'
  /** The index of the other path, in the order of the calls of `add`. */
  index: number
}

export class PathTree {
  /** The nodes by the number of their parent and their folded name. */
  readonly #nodes = new Map<string, Node>()
  #paths = 0

  /** Adds the next path. Returns its conflict with an earlier path; the tree must not be used after a conflict. */
  add(path: string): PathConflict | undefined {
    const index = this.#paths
    this.#paths += 1
    let node: Node = { number: 0, first: 0 }
    let isNew = false
    for (const name of foldPath(path).split('/')) {
      if (node.file !== undefined) return { kind: 'below', index: node.file }
      const key = `${node.number}/${name}`
      const known = this.#nodes.get(key)
      isNew = known === undefined
      node = known ?? { number: this.#nodes.size + 1, first: index }
      if (isNew) this.#nodes.set(key, node)
    }
    if (node.file !== undefined) return { kind: 'same', index: node.file }
    if (!isNew) return { kind: 'above', index: node.first }
    node.file = index
    return undefined
  }
}

/** Maps paths to the same text if a case-insensitive file system would treat them as equal. Upper case comes first: several
 * lower-case letters can share one upper-case letter, or become two. */
export function foldPath(path: string): string {
  return path.toUpperCase().toLowerCase().normalize('NFC')
}
