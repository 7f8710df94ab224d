"""The position of the sun in the sky."""

from __future__ import annotations

import datetime as dt
import math


def sun(lon: float, lat: float, moment: dt.datetime) -> tuple[float, float]:
    """Return the sun's elevation and its azimuth (clockwise from north), in degrees.

    It follows the low-precision formulas of the Astronomical Almanac, to a tenth of a degree.
    """
    days = (moment - dt.datetime(2000, 1, 1, 12, tzinfo=dt.UTC)) / dt.timedelta(days=1)
    anomaly = math.radians(357.528 + 0.9856003 * days)
    longitude = math.radians(
        280.460 + 0.9856474 * days + 1.915 * math.sin(anomaly) + 0.02 * math.sin(2 * anomaly)
    )
    tilt = math.radians(23.439 - 4e-7 * days)
    declination = math.asin(math.sin(tilt) * math.sin(longitude))
    ascension = math.atan2(math.cos(tilt) * math.sin(longitude), math.cos(longitude))
    sidereal = math.radians(280.46061837 + 360.98564736629 * days + lon)
    hour, phi = sidereal - ascension, math.radians(lat)
    sine = math.sin(phi) * math.sin(declination)
    sine += math.cos(phi) * math.cos(declination) * math.cos(hour)
    east = -math.cos(declination) * math.sin(hour)
    north = math.sin(declination) * math.cos(phi)
    north -= math.cos(declination) * math.sin(phi) * math.cos(hour)
    return math.degrees(math.asin(sine)), math.degrees(math.atan2(east, north)) % 360
