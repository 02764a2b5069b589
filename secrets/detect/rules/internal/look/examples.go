package look

import "bytes"

// examples are the random parts of secrets that providers and standards print in
// their documentation. They are kept without their prefixes, so that this file is
// nobody's find.
var examples = [][]byte{
	[]byte("IOSFODNN7EXAMPLE"),
	[]byte("I44QH8DHBEXAMPLE"),
	[]byte("K7MDENG"),
	[]byte("2IMHF3ARK7HFFI7W"),
	[]byte("16C7e42F292c6912E7710c838347Ae178B4a"),
	[]byte("4eC39HqLyjWDarjtT1zdp7dc"),
	[]byte("BQokikJOvBiI2HlWgH4olfQ2"),
	[]byte("26PHem9AhJZvU623DfE1x4sd"),
	[]byte("tR3PYbcVNZZ796tH88S4VQ2u"),
	[]byte("gQY3Mx5BZ2zNpXnJkrVf8wLh"),
	[]byte("T00000000/B00000000"),
	[]byte("SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"),
	[]byte("TJVA95OrM7E2cBab30RMHrHDcEfxjoYZgeFONFh7HgQ"),
	[]byte("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
	[]byte("eyJzdWIiOiIxMjM0NTY3ODkwIiw"),
	[]byte("ZZZ1DEADBEEF"),
	[]byte("7VJTUt9Us8cKjMzEfYyjiWA4R4"),
	[]byte("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq"),
	[]byte("C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw"),
	[]byte("aHR0cHM6Ly93d3cueW91dHViZS5jb20vd2F0Y2g"),
	[]byte("JBSWY3DPEHPK3PXP"),
	[]byte("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"),
	[]byte("123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"),
	[]byte("TMxp49bcEaB1cfSyQZ"),
	[]byte("QWxhZGRpbjpvcGVuIHNlc2FtZQ"),
	[]byte("QWxhZGRpbjpPcGVuU2VzYW1l"),
	[]byte("dXNlcm5hbWU6cGFzc3dvcmQ"),
	[]byte("dXNlcjpwYXNzd29yZA"),
	[]byte("mF_9.B5f-4.1JqM"),
	[]byte("3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl"),
	[]byte("1h8aps2yszaiqmz2l3oc5392pgk8e49qhx2aj3nyv0ui0hez2a"),
	[]byte("49nj1cmql0jkz5s954yi3oex3nedyz0fb0xx14ie39trti4wxv"),
	[]byte("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3f"), // WireGuard's manual
}

// Example reports whether a value is, or holds, a documented example.
func Example(value []byte) bool {
	for _, known := range examples {
		if bytes.Contains(value, known) {
			return true
		}
	}
	return false
}
