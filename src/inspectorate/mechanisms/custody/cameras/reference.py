"""Constants of the cameras, each with its reason. Distances are in pixels of the working picture, times in seconds of video.

Those under "chosen on rendered video" were fixed on seeds and on a room that the printed error rates do not use
(`python -m bench rack_cameras`).
"""

from __future__ import annotations

from typing import Final

# --- the working picture -----------------------------------------------------------------------------------------------

WIDTH: Final = 320
HEIGHT: Final = 180
"""Every video is read at this size, in grey: enough for cables two pixels wide, and one speed for all cameras."""
CELL: Final = 8
COLUMNS: Final = WIDTH // CELL
ROWS: Final = HEIGHT // CELL
"""The last four lines of the picture belong to no cell."""
RATE: Final = 4.0
"""Frames that are looked at, per second. Faster video is thinned out."""
RATE_MIN: Final = 1.0
RATE_MAX: Final = 15.0

# --- bounds on what is read --------------------------------------------------------------------------------------------

PIXELS_MAX: Final = 4096 * 2304
SIDE_MAX: Final = 8192
CODECS: Final = ("h264", "hevc", "mjpeg", "mpeg4", "vp8", "vp9", "av1")
"""What cameras and recorders write. A decoder that nobody needs is one that nobody attacks."""
SPAN_S_MAX: Final = 400 * 86_400.0
"""Time stamps of one file lie within this: longer ones are wrong."""
STILL_BYTES_MAX: Final = 1 << 20
REGIONS_MAX: Final = 64
REGIONS_BYTES_MAX: Final = 1 << 18
ENROLMENT_BYTES_MAX: Final = 1 << 22
WAIT_S: Final = 10.0
"""A live source that says nothing for longer is gone."""

# --- enrolment ---------------------------------------------------------------------------------------------------------

ENROL_S_MIN: Final = 60.0
ENROL_FRAMES_MAX: Final = 6_000
"""345 MB of working pictures: 25 minutes at four frames a second. Longer runs are for `checked`, which keeps none."""
STATES_MAX: Final = 6
STATE_WINDOW_S: Final = 5.0
STATE_ALIKE: Final = 0.8
"""Windows whose cells agree less than this on average show another state of the lights."""
STATE_BETTER: Final = 0.03
"""By so much another state must fit better before it is taken."""
STATE_BRIGHTNESS: Final = 0.1
"""What a difference in brightness by the factor e takes from the agreement of cells."""
CELL_MARGIN: Final = 0.12
"""A cell counts as another when it agrees with the reference by this much less than 99 in 100 enrolled frames."""
CELL_RELIABLE: Final = 0.35
"""Cells that agree less than this even in honest frames say nothing: bare wall, darkness."""
CELL_TEXTURE: Final = 10.0
"""Root mean square of gradients (Sobel, so 8 times grey levels a pixel) below which a cell is flat: shading alone, which lights
turn."""
EDGES_MARGIN: Final = 1.5
EDGES_MORE: Final = 25.0
"""A cell has gained an edge if its gradients exceed the highest enrolled ones by that factor and this much."""
MOTION_MARGIN: Final = 1.6
MOTION_LAG_S: Final = 0.75
SMOOTH_S: Final = 0.4
NOISE_S: Final = 4.0
NOISE_EVERY_S: Final = 1.0
NOISY: Final = 0.4
"""Noise above this share of a cell's structure: nothing is said of the cell."""

# --- decisions, chosen on rendered video -------------------------------------------------------------------------------

SEEN_LOST: Final = 0.3
"""Below this share of cells the reference cannot be seen."""
SEEN_PARTLY: Final = 0.6
"""Below this, and nothing moves in the rest: half of the lens is sprayed."""
STILL_SHARE: Final = 0.12
"""Nothing moves: fewer cells than this do."""
COARSE_LOST: Final = 0.45
"""Below this correlation of coarse structure not even a blurred reference is there."""
CRISP_LOST: Final = 0.7
"""Below this share of the reference's edges the picture is blurred, and where it lies cannot be told to a pixel."""
STRUCTURE_LOST: Final = 0.35
"""Below this share of the reference's structure the picture is empty: covered, not moved."""
DARK_SHARE: Final = 0.4
"""Of the lowest enrolled mean, below which it is dark."""
SHARP_MARGIN: Final = 0.8
"""Of the lowest enrolled sharpness, below which it is defocused."""
SHARP_CELLS_SHARE: Final = 0.3
"""Sharpness is judged without doors and cablings that changed if the rest holds this share of the fine structure."""
SHIFT_MIN_PX: Final = 1.3
SHIFT_MARGIN: Final = 2.0
SHIFT_RESPONSE: Final = 0.12
"""Peaks of the phase correlation below this say nothing."""
SHIFT_EVERY_S: Final = 1.0
DOOR_SHARE: Final = 0.4
CABLING_SHARE: Final = 0.07
CABLING_CELLS_MIN: Final = 3
CONFINED_SHARE: Final = 0.8
"""Of connected cells that changed, so many lie in the region or next to it: what reaches farther stands before it."""
CONFINED_PLACE_SHARE: Final = 0.95
"""The same for door and cabling of one place together, which a person may cover, but for the feet."""
RING: Final = 2
"""Cells around a region that must not have changed as it did."""
RING_LESS: Final = 0.5
"""They changed less than half as much."""
HOLD_S: Final = {
    "dark": 1.5,
    "covered": 2.0,
    "partly": 2.0,
    "defocused": 2.0,
    "moved": 2.0,
    "door": 1.0,
    "cabling": 1.0,
}
"""How long a condition lasts before it is an event."""
LOST_S: Final = 2.5
"""How long any of the first five lasts, nothing moving, before one of them is an event though they change places."""
MOVING_SHARE: Final = 0.04
"""Of the cells of a region and its ring, above which something moves there."""
MOVING_EDGES_MAX: Final = 4.0
STEADY_S: Final = 0.8
STEADY_SHARE: Final = 0.8
"""A cell of a door or cabling counts once it has differed for this share of a second: noise makes others differ each time."""
SETTLED_S: Final = 1.0
"""Nothing moved in a region for so long before its change counts."""
STANDS_S: Final = 60.0
"""Nothing moved for so long: a change counts even if it reaches beyond its region. Nobody stands as still as that."""
GAP_S: Final = 2.0
OCCLUDED_SHARE: Final = 0.5
"""A place is in sight while at least this share of its cells is."""

# --- lamps of devices as a fingerprint ---------------------------------------------------------------------------------

SPOTS_MAX: Final = 64
SPOTS_MIN: Final = 8
"""With fewer lamps that blink, nothing is said of frozen or repeated pictures."""
SPOT_APART_PX: Final = 5
SPOT_ACTIVITY: Final = 4.0
"""Times the noise of the picture that a lamp's changes exceed."""
SPOT_PERIODIC: Final = 0.6
"""Lamps whose pattern repeats itself to this correlation are left out."""
LEVEL_DECAY_PER_S: Final = 0.08
LIVE_WINDOW_S: Final = 3.0
LIVE_MARGIN: Final = 0.5
MATCH_SPANS_S: Final = (3.25, 4.5)
"""Lengths that are compared. The longer one carries 1.4 times the bits: repetitions that an encoder has blurred show there."""
MATCH_EVERY_S: Final = 0.5
JUDGED_EVERY_S: Final = 2.0
"""Who judges segments afterwards looks for repetitions so often: what a search costs grows with the history."""
MATCH_AGAIN_S: Final = 1.0
"""Twice in a row means at least so far apart."""
MATCH_KEPT_S: Final = 2.5
"""And at most so far."""
MATCH_ONCE: Final = 0.86
MATCH_TWICE: Final = 0.78
"""Agreement of the bits of a stretch with an earlier one: once, or twice in a row at one distance."""
MATCH_DEVIATIONS: Final = 5.5
MATCH_PLAIN: Final = 1.5
"""So many standard deviations more, and one match is enough whatever its agreement."""
MATCH_INDEPENDENT: Final = 1 / 3
"""Chance agrees in half of the bits, of which one in three is independent of the one before; a match lies this many standard
deviations above. Three million places, a week of frames, reach 5."""
MATCH_MORE: Final = 1.0
"""Standard deviations above the best agreement within the enrolment, at least: lamps that do not blink at random show there."""
HISTORY_S: Final = 7 * 86_400.0
"""Eight bytes a frame: 19 MB at four frames a second."""

# --- the verifier's lamp -----------------------------------------------------------------------------------------------

SLOTS_MAX: Final = 64
LATENCY_S_MAX: Final = 3.0
LATENCY_STEP_S: Final = 0.02
ANSWER_CORRELATION: Final = 0.8
LIT_PARTS: Final = 4
"""Parts of the lit scene that must follow, each by itself."""
LIT_PARTS_MIN: Final = 2
LIT_WITHIN: Final = 0.3
"""Of the picture's width around the lamp: there it lights the scene."""
LIT_BEYOND: Final = 0.4
"""Of the width: what lies farther is compared with."""
LIT_CORRELATION: Final = 0.5

# --- segments ----------------------------------------------------------------------------------------------------------

SEGMENT_S: Final = 600.0
SEGMENT_S_MAX: Final = 86_400.0
LINE_BYTES_MAX: Final = 1 << 16
LINES_MAX: Final = 200_000
PAYLOAD_BYTES_MAX: Final = 1 << 24
LINE_S: Final = 10.0
"""Frames of so long stand on one line."""
CLIP_S: Final = 3.0
"""A strip shows so long before an event began, and after it was noticed."""
RECENT_S: Final = 12.0
"""So long frames are kept for strips: an event is noticed some seconds after it began."""
CLIP_FRAMES: Final = 12
CLIPS_MAX: Final = 50
"""Clips of one segment; further events have none."""
EVENTS_MAX: Final = 2_000
"""Events of one segment: what alarms more often is not watched."""
SHORT_SHARE: Final = 0.85
"""Fewer frames than this share of what the rate gives, outside of stated gaps, are too few."""
