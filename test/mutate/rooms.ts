// The rooms of the source tree, each with its tests.

export interface Room {
  /** The paths of its source files. */
  sources: readonly string[]
  /** The prefixes of the paths of its tests. */
  tests: readonly string[]
}

export const ROOMS = {
  artifact: {
    sources: ['services/artifact/'],
    tests: ['test/service/artifact/', 'test/unit/artifact-'],
  },
  audit: {
    sources: ['services/audit/'],
    tests: ['test/service/audit/', 'test/unit/audit-config', 'test/unit/audit-leaf'],
  },
  metadata: {
    sources: ['services/metadata/'],
    tests: ['test/service/metadata/', 'test/unit/metadata-', 'test/unit/condition'],
  },
  lib: {
    sources: ['services/lib/', 'services/main.ts', 'services/migrate.ts'],
    // The files directly in these folders; those of the other rooms are left out by `roomOfTest`.
    tests: ['test/service/', 'test/unit/'],
  },
  verifier: {
    sources: ['clients/verifier/'],
    tests: ['test/unit/audit-', 'test/suite/governed-export'],
  },
  cli: {
    sources: ['clients/cli/'],
    tests: ['test/unit/cli-', 'test/suite/cli'],
  },
  witness: {
    sources: ['services/witness/'],
    tests: ['test/service/witness/', 'test/unit/witness-', 'test/unit/cosignature'],
  },
  standalone: {
    sources: ['services/standalone/'],
    tests: ['test/unit/standalone', 'test/suite/standalone'],
  },
} as const satisfies Record<string, Room>

export type RoomName = keyof typeof ROOMS

export const ROOM_NAMES = Object.keys(ROOMS) as RoomName[]

export function isRoom(name: string): name is RoomName {
  return Object.hasOwn(ROOMS, name)
}

/** The room of a source file: the one with the longest matching path. */
export function findRoom(path: string): RoomName | undefined {
  return longestMatch(path, (room) => ROOMS[room].sources)
}

/** The room of a test file; a room's own prefix wins over the folders of lib. */
export function findRoomOfTest(path: string): RoomName | undefined {
  return longestMatch(path, (room) => ROOMS[room].tests)
}

function longestMatch(path: string, prefixesOf: (room: RoomName) => readonly string[]): RoomName | undefined {
  let best: { room: RoomName; length: number } | undefined
  for (const room of ROOM_NAMES) {
    for (const prefix of prefixesOf(room)) {
      if (path.startsWith(prefix) && prefix.length > (best?.length ?? 0)) best = { room, length: prefix.length }
    }
  }
  return best?.room
}
