package geofence

import "math"

// earth is the mean radius in metres. The sphere is off by 0.5 % at most, which
// is less than the margins here.
const earth = 6_371_000

// maxPlane is how far from a polygon its plane is used, in metres: more than any
// two corners are apart.
const maxPlane = 2_000_000

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }

// turn brings a difference of longitudes to what lies between: places on both
// sides of the date line are near each other.
func turn(degrees float64) float64 { return math.Remainder(degrees, 360) }

// distance is the way between two places in metres.
func distance(a, b Place) float64 {
	lat, lon := radians(b.Lat-a.Lat)/2, radians(turn(b.Lon-a.Lon))/2
	h := math.Sin(lat)*math.Sin(lat) + math.Cos(radians(a.Lat))*math.Cos(radians(b.Lat))*math.Sin(lon)*math.Sin(lon)
	return 2 * earth * math.Asin(math.Sqrt(min(h, 1)))
}

// beyond is how far outside the fence a place is in metres, negative inside it.
// Without a fence everything is inside.
func (c Config) beyond(p Place) float64 {
	switch {
	case c.Circle != nil:
		return distance(Place{c.Circle.Lat, c.Circle.Lon}, p) - c.Circle.Radius
	case len(c.Polygon) > 0:
		return beyondPolygon(c.Polygon, p)
	}
	return math.Inf(-1)
}

// beyondPolygon reckons in the plane around the place itself, where the edges
// that are near are right.
func beyondPolygon(corners []Place, p Place) float64 {
	if far := distance(corners[0], p); far > maxPlane {
		return far // the plane ends before it gets there
	}
	flat := make([][2]float64, len(corners))
	for i, c := range corners {
		flat[i] = [2]float64{
			radians(turn(c.Lon-p.Lon)) * math.Cos(radians(p.Lat)) * earth,
			radians(c.Lat-p.Lat) * earth,
		}
	}
	inside, nearest := false, math.Inf(1)
	for i, a := range flat {
		b := flat[(i+1)%len(flat)]
		nearest = min(nearest, fromOrigin(a, b))
		if (a[1] > 0) != (b[1] > 0) && a[0]+(0-a[1])/(b[1]-a[1])*(b[0]-a[0]) > 0 {
			inside = !inside
		}
	}
	if inside {
		return -nearest
	}
	return nearest
}

// fromOrigin is how far the origin is from the line between two points.
func fromOrigin(a, b [2]float64) float64 {
	dx, dy := b[0]-a[0], b[1]-a[1]
	along := 0.0
	if length := dx*dx + dy*dy; length > 0 {
		along = min(max(-(a[0]*dx+a[1]*dy)/length, 0), 1)
	}
	return math.Hypot(a[0]+along*dx, a[1]+along*dy)
}
